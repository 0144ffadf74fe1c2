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
from rocm_images.catalogue.file import read, write
from rocm_images.cli.main import main
from rocm_images.deploying.arguments import check_arguments
from rocm_images.deploying.choose import recommended, servers_of
from rocm_images.deploying.manifests import Deployment, Kind, rendered
from rocm_images.deploying.server_meant import entry_of, of_reference, of_several
from rocm_images.errors import ExitCode, InputError
from rocm_images.matrix.schema import Matrix
from rocm_images.servers import SERVERS, Server

MATRIX = Path(__file__).resolve().parents[3] / "matrix.yaml"
VLLM = SERVERS["vllm"]
IMAGE = "registry.example.org/vllm-rocm@sha256:" + "ab" * 32
OTHER = IMAGE.replace("vllm-rocm", "made-up")
EACH = pytest.mark.parametrize("server", list(SERVERS.values()), ids=list(SERVERS))


@pytest.fixture(autouse=True)
def no_catalogue_in_this_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("rocm_images.catalogue.listed.CATALOGUE", tmp_path / "absent.json")


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


def test_a_newer_release_of_another_server_does_not_outdo_the_one_that_is_meant(
    project_matrix: Matrix,
) -> None:
    both = of_both_servers(project_matrix, "vllm", "99.0")
    assert servers_of(both, "942") == servers_of(both, "gfx942") == ["sglang", "vllm"]
    found = recommended(both, "942", server="vllm")
    assert (found.server, found.version) == ("vllm", "99.0")
    assert recommended(both, "942", server="sglang").server == "sglang"
    with pytest.raises(InputError, match="no image for 942 of 'sglan': did you mean 'sglang'"):
        recommended(both, "942", server="sglan")


def test_pick_takes_the_only_server_that_there_is(project_matrix: Matrix) -> None:
    both = of_both_servers(project_matrix, "vllm", "99.0")
    only = both.model_copy(
        update={"images": tuple(image for image in both.images if image.server == "vllm")}
    )
    assert recommended(only, "942").server == "vllm"


def test_a_name_is_wanted_where_several_are_there_and_none_is_meant(
    project_matrix: Matrix,
) -> None:
    both = of_both_servers(project_matrix, "vllm", "99.0")
    vllms = [image for image in both.images if image.server == "vllm"]
    thirds = [of_server(image, "third", "1.0") for image in vllms]
    others = both.model_copy(update={"images": (*vllms, *thirds)})
    with pytest.raises(InputError, match="of third and vllm: name one with --server"):
        recommended(others, "942")
    assert of_several(servers_of(others, "942"), project_matrix) is None


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
    words = ["deploy", OTHER, "--as", "compose", "--model", "m", "--server", server.name]
    assert list(yaml.safe_load(invoke(*words).stdout)["services"]) == [server.name]
    ran = invoke("run-args", OTHER, "--server", server.name)
    assert f"127.0.0.1:{server.port}:" in ran.stdout
    assert ran.stderr == ""


def test_a_server_that_is_not_known_or_not_in_the_image_is_refused(both: list[str]) -> None:
    unknown = invoke("run-args", IMAGE, "--server", "vlm")
    assert isinstance(unknown.exception, InputError)
    assert "unknown inference server 'vlm': did you mean 'vllm'?" in str(unknown.exception)
    tag = json.loads(Path(both[1]).read_text())["images"][0]["immutable_tag"]
    other = invoke("run-args", tag, "--server", "vllm", *both)
    assert isinstance(other.exception, InputError)
    assert f"{tag} holds sglang, as the catalogue says, and not vllm" in str(other.exception)


@pytest.fixture
def second_is_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The project's matrix, with its second server as the default one."""
    text = MATRIX.read_text().replace("\n    default: true\n", "\n")
    path = tmp_path / "matrix.yaml"
    path.write_text(text.replace("\n  vllm:\n", "\n  vllm:\n    default: true\n"))
    monkeypatch.setenv("ROCM_IMAGES_MATRIX", str(path))


def picked_and_said(catalogue: list[str]) -> tuple[str, str]:
    done = invoke("pick", "--arch", "942", *catalogue)
    assert done.exit_code == 0, done.output
    (said,) = (line for line in done.stderr.splitlines() if "there are images of" in line)
    return done.stdout, said


def test_pick_takes_the_default_of_the_project_and_says_so(both: list[str]) -> None:
    reference, said = picked_and_said(both)
    assert "/sglang-rocm@" in reference
    assert said == (
        "note: there are images of sglang and vllm: this is one of SGLang, the matrix's default; "
        "--server names another."
    )


@pytest.mark.usefixtures("second_is_default")
def test_pick_takes_the_default_of_the_matrix_at_hand(both: list[str]) -> None:
    reference, said = picked_and_said(both)
    assert "/vllm-rocm@" in reference
    assert "this is one of vLLM, the matrix's default" in said


def test_pick_says_nothing_of_servers_where_one_was_named(both: list[str]) -> None:
    assert (
        "there are images of"
        not in invoke("pick", "--arch", "942", "--server", "vllm", *both).stderr
    )


def test_a_named_matrix_that_is_not_there_is_no_reason_to_take_another(both: list[str]) -> None:
    done = invoke("pick", "--arch", "942", "--matrix", "/proc/absent/m.yaml", *both)
    assert isinstance(done.exception, InputError)


def test_without_a_matrix_in_the_folder_the_programs_own_says_it(
    both: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (option,) = (one for one in main.commands["pick"].params if one.name == "matrix_path")
    monkeypatch.setattr(option, "default", tmp_path / "absent.yaml")
    assert "/sglang-rocm@" in picked_and_said(both)[0]


def test_a_repository_of_the_matrix_says_which_server_it_is_of() -> None:
    done = invoke("deploy", IMAGE, "--as", "docker", "--model", "m")
    assert VLLM.launcher in done.stdout
    assert f"127.0.0.1:{VLLM.port}:" in invoke("run-args", IMAGE).stdout
    assert done.stderr == ""


@pytest.mark.parametrize("name", ["made-up", "my-vllm-rocm", "vllm-rocm/made-up", "vllm"])
def test_of_another_repository_it_is_said_which_server_was_assumed(name: str) -> None:
    reference = IMAGE.replace("vllm-rocm", name)
    done = invoke("run-args", reference)
    assert f"127.0.0.1:{SERVERS['sglang'].port}:" in done.stdout
    assert done.stderr == (
        f"note: no catalogue knows {reference}: it is taken for an image of SGLang, the matrix's "
        "default; --server names another.\n"
    )


@pytest.mark.usefixtures("second_is_default")
def test_what_is_assumed_is_the_default_of_the_matrix_at_hand() -> None:
    done = invoke("deploy", OTHER, "--as", "docker", "--model", "m")
    assert VLLM.launcher in done.stdout
    assert "taken for an image of vLLM" in done.stderr


@pytest.mark.parametrize("verb", [["run-args"], ["deploy", "--as", "docker", "--model", "m"]])
def test_a_repository_of_another_server_than_the_named_one_is_refused(verb: list[str]) -> None:
    done = invoke(*verb, IMAGE, "--server", "sglang")
    assert isinstance(done.exception, InputError)
    assert done.exception.exit_code == ExitCode.BAD_INPUT
    assert str(done.exception) == (
        f"{IMAGE}: the matrix calls images of vLLM vllm-rocm, and --server says sglang: say "
        "--server vllm, or name the image that is meant"
    )


def test_a_repository_that_two_servers_share_says_nothing(project_matrix: Matrix) -> None:
    shared = {
        name: one.model_copy(update={"repository": "serving"})
        for name, one in project_matrix.servers.items()
    }
    matrix = project_matrix.model_copy(update={"servers": shared})
    reference = IMAGE.replace("vllm-rocm", "serving")
    server, said = of_reference(reference, None, matrix)
    assert (server.name, bool(said)) == (matrix.default_server, True)
    assert of_reference(reference, VLLM, matrix) == (VLLM, None)


def test_what_the_catalogue_of_this_folder_knows_decides(
    both: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(both[1])
    (image, *_) = (i for i in read(path).images if i.server == "vllm" and i.tags)
    digest = image.reference.rpartition("@")[2]
    # A mirror of that very image, under a name that says another server.
    mirrored = f"mirror.example.org/sglang-rocm@{digest}"
    assert "30000:30000" in invoke("run-args", mirrored).stdout
    monkeypatch.setattr("rocm_images.catalogue.listed.CATALOGUE", path)
    for reference in (mirrored, image.reference, f"{image.repository}:{image.tags[0]}"):
        done = invoke("run-args", reference)
        assert "8000:8000" in done.stdout
        # What a tag stands for now, the catalogue does not say.
        assert done.stdout.strip().endswith(reference)
        assert bool(done.stderr) is ("@" in reference)
    other = invoke("run-args", mirrored, "--server", "sglang")
    assert f"{mirrored} holds vllm, as the catalogue says" in str(other.exception)
    assert "127.0.0.1:8000:" in invoke("run-args", IMAGE).stdout


def test_a_reference_is_that_of_its_repository_and_tag(project_matrix: Matrix) -> None:
    known = of_both_servers(project_matrix, "vllm", "99.0")
    image = known.images[0]
    assert entry_of(known, f"{image.repository}:{image.immutable_tag}") == image
    for other in (f"mirror.example.org/a:{image.immutable_tag}", image.repository, "A B"):
        assert entry_of(known, other) is None
