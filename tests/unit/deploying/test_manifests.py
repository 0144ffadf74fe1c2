"""What is rendered for Kubernetes is what its own schemas accept, and gives no more than needed."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner, Result

from made_up_catalogue import catalogue
from rocm_images.catalogue.file import write
from rocm_images.cli.main import main
from rocm_images.deploying.manifests import Deployment, Kind, rendered
from rocm_images.engine.run_flags import FOR_GPUS, LEFT_OUT, RunOptions, engine_options, run_flags
from rocm_images.errors import InputError
from rocm_images.matrix.schema import Matrix

PROJECT = Path(__file__).resolve().parent.parent.parent.parent
IMAGE = "registry.example.org/sglang-rocm@sha256:" + "ab" * 32
# The oldest and the newest that the validator has are what people run.
VERSIONS = ("1.30", "1.37")


def objects(**changes: Any) -> dict[str, dict[str, Any]]:
    given: dict[str, Any] = {"image": IMAGE, "model": "org/model", "gpus": 4, **changes}
    documents = yaml.safe_load_all(rendered(Deployment(**given), Kind.KUBERNETES))
    return {document["kind"]: document for document in documents}


def pod(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    spec: dict[str, Any] = found["Deployment"]["spec"]["template"]["spec"]
    return spec


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", ["Deployment", "Service", "PersistentVolumeClaim"])
def test_kubernetes_own_schema_accepts_every_object(kind: str, version: str) -> None:
    kubernetes_validate.validate(objects()[kind], version, strict=True)


def test_the_schema_would_refuse_a_key_that_is_misspelt() -> None:
    wrong = copy.deepcopy(objects()["Deployment"])
    probe = wrong["spec"]["template"]["spec"]["containers"][0].pop("readinessProbe")
    wrong["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = probe
    with pytest.raises(kubernetes_validate.ValidationError, match="readynessProbe"):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


def test_the_pod_gets_gpus_shared_memory_and_no_privilege() -> None:
    spec = pod(objects())
    (container,) = spec["containers"]
    assert container["image"] == IMAGE
    assert container["resources"]["limits"] == {"amd.com/gpu": 4}
    assert {v["name"]: v.get("emptyDir") for v in spec["volumes"]}["shared-memory"] == {
        "medium": "Memory",
        "sizeLimit": "32Gi",
    }
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts["shared-memory"] == "/dev/shm"
    assert "privileged" not in container["securityContext"]
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    for probe in ("startupProbe", "readinessProbe"):
        assert container[probe]["httpGet"] == {"path": "/health", "port": "http"}


def test_compose_gives_the_container_what_docker_run_gives_it() -> None:
    text = rendered(Deployment(IMAGE, "org/model", 4, name="chat"), Kind.COMPOSE)
    service = yaml.safe_load(text)["services"]["chat"]
    asked = engine_options(FOR_GPUS)
    assert [device.split(":")[0] for device in service["devices"]] == asked.pop("devices")
    assert service["shm_size"] == asked.pop("shm_size").replace("g", "gb")
    limits = {limit["name"]: limit["hard"] for limit in asked.pop("ulimits")}
    assert service["ulimits"] == limits
    for key in ("group_add", "security_opt"):
        assert service[key] == asked.pop(key)
    # Every flag was looked for, and what instructions elsewhere have is not there.
    assert asked == {}
    assert not service.keys() & {"privileged", "cap_add", "ipc", "network_mode", "pid", "userns"}


def test_kubernetes_gives_the_pod_no_more_than_docker_run_gives() -> None:
    spec = pod(objects())
    (container,) = spec["containers"]
    assert not spec.keys() & {"hostIPC", "hostPID", "hostNetwork", "securityContext"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def test_the_service_leads_to_the_pod() -> None:
    found = objects(name="chat", port=8000)
    service, template = found["Service"]["spec"], found["Deployment"]["spec"]["template"]
    assert service["selector"].items() <= template["metadata"]["labels"].items()
    (container,) = pod(found)["containers"]
    assert container["ports"][0]["containerPort"] == 8000
    assert container["args"][-2:] == ["--port", "8000"]
    claim = found["PersistentVolumeClaim"]["metadata"]["name"]
    assert {v["name"]: v for v in pod(found)["volumes"]}["models"] == {
        "name": "models",
        "persistentVolumeClaim": {"claimName": claim},
    }


@pytest.mark.parametrize(
    "model", ['a"\n  b: c', "{{ 1 }}", "it's: a #model", "$(HOME)/x", "größe", "- no"]
)
def test_a_model_stays_one_word_of_the_command(model: str) -> None:
    if not model.isprintable():
        with pytest.raises(InputError, match="no model"):
            objects(model=model)
        return
    (container,) = pod(objects(model=model))["containers"]
    # Kubernetes reads $$(X) as the text $(X).
    assert container["args"][4] == model.replace("$(", "$$(")


@pytest.mark.parametrize("name", ["no", "true", "null"])
def test_a_name_stays_a_text(name: str) -> None:
    kubernetes_validate.validate(objects(name=name)["Deployment"], VERSIONS[-1], strict=True)


@pytest.mark.parametrize("name", ["Upper", "1st", "a_b", "-", "a" * 53, "a\nb", ""])
def test_a_name_that_kubernetes_refuses_is_refused_here(name: str) -> None:
    with pytest.raises(InputError, match="no name for a server"):
        objects(name=name)


@pytest.mark.parametrize("image", ["registry.example.org/a:tag", "a", IMAGE + "0", IMAGE + "\n"])
def test_what_is_deployed_has_a_digest(image: str) -> None:
    with pytest.raises(InputError, match=r"has no digest: .*build\.py pick"):
        objects(image=image)


def test_every_flag_is_explained_and_none_is_both_there_and_left_out() -> None:
    flags = run_flags(RunOptions(model_cache="/models", render_group=993, numa=True))
    assert all(flag.why for flag in (*flags, *LEFT_OUT))
    assert not {flag.words for flag in flags} & {flag.words for flag in LEFT_OUT}
    document = (PROJECT / "docs" / "deploying.md").read_text()
    assert all(f"`{flag.words[0]}" in document for flag in (*flags, *LEFT_OUT))


@pytest.fixture
def catalogue_file(project_matrix: Matrix, tmp_path: Path) -> str:
    path = tmp_path / "catalogue.json"
    write(path, catalogue(project_matrix))
    return str(path)


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def test_run_args_pins_a_tag_of_the_catalogue(project_matrix: Matrix, catalogue_file: str) -> None:
    done = invoke("run-args", "v0.5.21-mi30x", "--catalogue", catalogue_file, "--unverified")
    reference = catalogue(project_matrix).images[0].reference
    assert done.stdout.startswith("--device /dev/kfd --device /dev/dri --group-add video ")
    assert done.stdout.endswith(f" {reference}\n")
    assert done.stdout.count("\n") == 1


def test_run_args_takes_a_whole_reference_as_it_is() -> None:
    assert invoke("run-args", "example.org/a:b").stdout.endswith(" example.org/a:b\n")
    wrong = invoke("run-args", "example.org/a:b; rm -rf /")
    assert isinstance(wrong.exception, InputError)
    assert "is not an image reference" in str(wrong.exception)


def test_run_args_explains_each_flag_and_what_is_left_out() -> None:
    done = invoke("run-args", "example.org/a:b", "--explain", "--numa")
    for text in ("--cap-add SYS_NICE", "--shm-size 32g", "LEFT OUT", "--privileged"):
        assert re.search(rf"^{re.escape(text)} ", done.stdout, re.MULTILINE), text


def test_run_args_has_the_options_of_a_user(tmp_path: Path) -> None:
    options = ["--port", "8000", "--model-cache", str(tmp_path / "a b"), "--render-group", "993"]
    done = invoke("run-args", "example.org/a:b", *options)
    for text in (
        "--publish 127.0.0.1:8000:8000",
        f"--volume '{tmp_path}/a b:/root/.cache/huggingface'",
        "--group-add 993",
    ):
        assert f" {text} " in done.stdout


@pytest.mark.parametrize(
    "words",
    [
        ["pick", "--arch", "942"],
        ["run-args", "v0.5.21-mi30x"],
        ["deploy", "v0.5.21-mi30x", "--as", "compose", "--model", "org/model"],
    ],
)
def test_a_file_of_anybody_recommends_nothing(words: list[str], catalogue_file: str) -> None:
    done = invoke(*words, "--catalogue", catalogue_file)
    assert isinstance(done.exception, InputError)
    assert "may be of anybody: say whose catalogue counts" in str(done.exception)
    assert invoke(*words, "--catalogue", catalogue_file, "--unverified").exit_code == 0


def test_deploy_writes_a_file(catalogue_file: str, tmp_path: Path) -> None:
    output = tmp_path / "server.yaml"
    words = ["deploy", "v0.5.21-mi30x", "--as", "kubernetes", "--model", "org/model"]
    done = invoke(*words, "--catalogue", catalogue_file, "--unverified", "--output", str(output))
    assert done.exit_code == 0, done.output
    assert (
        invoke(*words, "--catalogue", catalogue_file, "--unverified").stdout == output.read_text()
    )


def test_pick_wants_to_know_for_which_gpu(catalogue_file: str) -> None:
    for words in (["pick"], ["pick", "--auto", "--arch", "942"]):
        done = invoke(*words, "--catalogue", catalogue_file, "--unverified")
        assert isinstance(done.exception, InputError)
        assert "say for which GPU" in str(done.exception)
