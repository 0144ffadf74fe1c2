"""Each verb for those who deploy takes any server: its options, its port, its path of health."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from made_up_catalogue import of_both_servers, of_server
from rocm_images.catalogue.file import write
from rocm_images.cli.main import main
from rocm_images.deploying.arguments import check_arguments
from rocm_images.deploying.choose import recommended
from rocm_images.deploying.manifests import Deployment, Kind, rendered
from rocm_images.errors import InputError
from rocm_images.matrix.schema import Matrix
from rocm_images.servers import DEFAULT, SERVERS, Server

VLLM = SERVERS["vllm"]
IMAGE = "registry.example.org/vllm-rocm@sha256:" + "ab" * 32
EACH = pytest.mark.parametrize("server", list(SERVERS.values()), ids=list(SERVERS))


def invoke(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


def yaml_of(server: Server, kind: Kind, **changes: Any) -> Any:
    text = rendered(Deployment(IMAGE, "org/model", 4, server=server, **changes), kind)
    return next(iter(yaml.safe_load_all(text)))


@EACH
def test_a_deployment_is_the_servers_own(server: Server) -> None:
    command = ["python3", *server.command("org/model", 4, server.port, "0.0.0.0")]
    container = yaml_of(server, Kind.KUBERNETES)["spec"]["template"]["spec"]["containers"][0]
    assert container["args"] == command
    assert container["ports"][0]["containerPort"] == server.port
    for probe in ("startupProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["path"] == server.health
    service = yaml_of(server, Kind.COMPOSE)["services"][server.name]
    assert service["command"] == command
    assert f":{server.port}{server.health}'" in service["healthcheck"]["test"][-1]
    docker = shlex.split(
        rendered(Deployment(IMAGE, "org/model", 4, server=server), Kind.DOCKER).replace("\\\n", " ")
    )
    assert docker[-len(command) :] == command


def test_a_server_with_another_path_of_health_is_asked_there() -> None:
    server = replace(VLLM, health="/ready")
    container = yaml_of(server, Kind.KUBERNETES)["spec"]["template"]["spec"]["containers"][0]
    assert container["startupProbe"]["httpGet"]["path"] == "/ready"
    assert container["readinessProbe"]["httpGet"]["path"] == "/ready"
    text = rendered(Deployment(IMAGE, "org/model", 4, server=server), Kind.COMPOSE)
    assert "/ready" in text
    assert "/health" not in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("-tp 8", "-tp 8 is more than the 4 GPUs"),
        ("-tp=8", "-tp 8 is more than the 4 GPUs"),
        ("-tp2", "-tp2 is no option of vLLM: write -tp 2"),
        ("--tensor_parallel_size 8", "--tensor-parallel-size 8 is more than the 4 GPUs"),
        ("--tensor_parallel_size=8", "--tensor-parallel-size 8 is more than the 4 GPUs"),
        ("-dp 2", "--tensor-parallel-size 4 times -dp 2 (8 together) is more than the 4 GPUs"),
        ("-pcp 2", "--tensor-parallel-size 4 times -pcp 2 (8 together)"),
        ("-tp 2 -pp 2 --prefill-context-parallel-size=2", "(8 together)"),
        ("-t 2", "-t is an abbreviation: write the option out, as -tp"),
        ("-p=2", "-p is an abbreviation"),
        ("--tensor_par=2", "write the option out, as --tensor-parallel-size"),
        ("-n2", "-n is not for vLLM here: a server on several nodes is not rendered here"),
        ("-n=2", "-n is not for vLLM here"),
        ("-r 1", "-r is not for vLLM here"),
        ("-dpa 10.0.0.1", "-dpa is not for vLLM here"),
        ("-dpl=1", "-dpl is not for vLLM here"),
        ("--node_rank 1", "--node-rank is not for vLLM here"),
        ("--headless", "--headless is not for vLLM here"),
        ("--model other", "--model is not for vLLM here: --model before -- names the model"),
        ("--config a.yaml", "--config is not for vLLM here: a file may hold any"),
        ("--config=a.yaml", "--config is not for vLLM here"),
    ],
)
def test_what_would_contradict_a_deployment_is_refused_in_every_spelling(
    words: str, said: str
) -> None:
    with pytest.raises(InputError) as refused:
        check_arguments(words.split(), 4, VLLM)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "words",
    [
        "-tp 2 -dp 2",
        "-tp=2 -pp=2",
        "-tp 2 -dcp 2",
        "-cc.cudagraph_mode=PIECEWISE",
        "--compilation_config.cudagraph_mode NONE -O3",
        "--gpu_memory_utilization 0.85 --seed -1 -q fp8",
        "--data-parallel-backend mp -dpb mp",
        "--enable-expert-parallel -ep",
    ],
)
def test_what_takes_no_more_than_there_is_is_the_users_choice(words: str) -> None:
    check_arguments(words.split(), 4, VLLM)


def test_a_key_behind_a_dot_is_no_option() -> None:
    # As vLLM reads it: the value of a key of another option.
    check_arguments(["--hf_overrides.--port", "1"], 4, VLLM)


@EACH
def test_more_than_a_node_has_is_what_the_server_says_of_several(server: Server) -> None:
    with pytest.raises(InputError) as refused:
        Deployment(IMAGE, "org/model", 16, server=server)
    assert server.arguments.several_nodes in str(refused.value)


def test_the_leader_worker_set_is_offered_to_the_server_that_it_starts() -> None:
    offered = [one for one in SERVERS.values() if "LeaderWorkerSet" in one.arguments.several_nodes]
    text = (Path(__file__).resolve().parents[3] / "docs/leader-worker-set.yaml").read_text()
    assert [one for one in SERVERS.values() if one.launcher in text] == offered
    for option in offered[0].arguments.of_the_deployment:
        if option in ("--nnodes", "--node-rank", "--dist-init-addr"):
            assert f"- {option}\n" in text


def test_pick_means_the_default_server_unless_another_is_named(project_matrix: Matrix) -> None:
    both = of_both_servers(project_matrix, "vllm", "99.0")
    assert recommended(both, "942").server == DEFAULT.name
    found = recommended(both, "942", server="vllm")
    assert (found.server, found.version) == ("vllm", "99.0")
    # A newer release of another server does not outdo the default one's.
    assert recommended(both, "942", server=DEFAULT.name) == recommended(both, "942")
    with pytest.raises(InputError, match="no image for 942 of sglan: did you mean 'sglang'"):
        recommended(both, "942", server="sglan")


def test_pick_takes_the_only_server_that_there_is(project_matrix: Matrix) -> None:
    both = of_both_servers(project_matrix, "vllm", "99.0")
    only = both.model_copy(
        update={"images": tuple(image for image in both.images if image.server == "vllm")}
    )
    assert recommended(only, "942").server == "vllm"


def test_pick_wants_a_name_where_several_are_there_and_not_the_default_one(
    project_matrix: Matrix,
) -> None:
    both = of_both_servers(project_matrix, "vllm", "99.0")
    vllms = [image for image in both.images if image.server == "vllm"]
    thirds = [of_server(image, "third", "1.0") for image in vllms]
    others = both.model_copy(update={"images": (*vllms, *thirds)})
    with pytest.raises(InputError, match="of third and vllm: name one with --server"):
        recommended(others, "942")


@pytest.fixture
def both(project_matrix: Matrix, tmp_path: Path) -> list[str]:
    path = tmp_path / "catalogue.json"
    write(path, of_both_servers(project_matrix, "vllm", "99.0"))
    return ["--catalogue", str(path), "--unverified"]


@EACH
def test_each_verb_goes_by_the_server_that_the_catalogue_says(
    server: Server, both: list[str]
) -> None:
    picked = invoke("pick", "--arch", "942", "--server", server.name, *both)
    assert picked.exit_code == 0, picked.output
    reference = picked.stdout.strip()
    assert f"/{server.name}-rocm@" in reference
    published = f"--publish 127.0.0.1:{server.port}:{server.port}"
    assert published in invoke("run-args", reference, *both).stdout
    deployed = invoke("deploy", reference, "--as", "docker", "--model", "m", *both)
    assert published in deployed.stdout
    assert server.launcher in deployed.stdout


@EACH
def test_a_whole_reference_holds_the_server_that_is_named(server: Server) -> None:
    words = ["deploy", IMAGE, "--as", "compose", "--model", "m", "--server", server.name]
    assert list(yaml.safe_load(invoke(*words).stdout)["services"]) == [server.name]
    ran = invoke("run-args", IMAGE, "--server", server.name).stdout
    assert f"127.0.0.1:{server.port}:" in ran


def test_a_server_that_is_not_known_or_not_in_the_image_is_refused(both: list[str]) -> None:
    unknown = invoke("run-args", IMAGE, "--server", "vlm")
    assert isinstance(unknown.exception, InputError)
    assert "unknown inference server 'vlm': did you mean 'vllm'?" in str(unknown.exception)
    tag = json.loads(Path(both[1]).read_text())["images"][0]["immutable_tag"]
    other = invoke("run-args", tag, "--server", "vllm", *both)
    assert isinstance(other.exception, InputError)
    assert f"{tag} holds sglang, as the catalogue says, and not vllm" in str(other.exception)
