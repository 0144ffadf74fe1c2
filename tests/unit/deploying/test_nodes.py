"""What a server is given, what it is asked to do, and where that is more than a node has."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner, Result

from rocm_images.cli.main import main
from rocm_images.deploying.manifests import Deployment
from rocm_images.engine.run_flags import MODEL_CACHE
from rocm_images.errors import InputError

PROJECT = Path(__file__).resolve().parents[3]
IMAGE = "registry.example.org/sglang-rocm@sha256:" + "ab" * 32
KINDS = ["docker", "compose", "kubernetes"]
# Texts that mean something to a shell, to compose, to Kubernetes and to YAML.
ARGUMENTS = [
    *("--mem-fraction-static", "0.85", "--trust-remote-code", "--served-model-name", "it's: a #b"),
    *("--json-model-override-args", '{"a": "$HOME ${x} $(y)"}', "--context-length=8192"),
]


def deploy(kind: str, *words: str, image: str = IMAGE) -> Result:
    return CliRunner().invoke(main, ["deploy", image, "--as", kind, "--model", "org/model", *words])


def words_of(kind: str, text: str) -> list[str]:
    """The command that the container gets, as whoever reads the text understands it."""
    if kind == "docker":
        return shlex.split(text.replace("\\\n", " ").partition(IMAGE)[2])
    whole = next(iter(yaml.safe_load_all(text)))
    if kind == "compose":
        return [word.replace("$$", "$") for word in whole["services"]["sglang"]["command"]]
    args = whole["spec"]["template"]["spec"]["containers"][0]["args"]
    return [word.replace("$$(", "$(") for word in args]


@pytest.mark.parametrize("kind", KINDS)
def test_what_follows_the_dashes_reaches_the_server(kind: str) -> None:
    done = deploy(kind, "--gpus", "4", "--", *ARGUMENTS)
    assert done.exit_code == 0, done.output
    words = words_of(kind, done.stdout)
    assert words[:3] == ["python3", "-m", "sglang.launch_server"]
    assert words[-len(ARGUMENTS) :] == ARGUMENTS
    bare = words_of(kind, deploy(kind, "--gpus", "4").stdout)
    assert words == [*bare, *ARGUMENTS]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--port", "1"], "--port is not for SGLang here: say --port before --"),
        (["--port=1"], "--port is not for SGLang here: say --port before --"),
        (["--model-path", "x"], "--model before -- names the model"),
        (["--a", "--host", "::"], "--host is not for SGLang here: it answers"),
        (["--nnodes", "2"], "docs/leader-worker-set.yaml"),
        (["--tp", "8"], "--tp 8 is more than the 4 GPUs that the server gets: say --gpus 8"),
        (["--tp-size=16"], "--tp-size 16 is more than the 4 GPUs"),
        (["--tp", "+8"], "--tp 8 is more than the 4 GPUs"),
        (["--hos", "::"], "--hos is an abbreviation: write the option out, as --host"),
        (["--tensor-parallel", "16"], "write the option out, as --tensor-parallel-size"),
        (["--data=2"], "write the option out, as --data-parallel-size"),
        (["--model-p", "x"], "write the option out, as --model-path"),
        (["extra"], "'extra' is no option of the server"),
        (["--a", "b\nc"], "it cannot be printed"),
    ],
)
def test_what_would_contradict_the_deployment_is_refused(
    kind: str, words: list[str], said: str
) -> None:
    done = deploy(kind, "--gpus", "4", "--", *words)
    assert isinstance(done.exception, InputError)
    assert said in str(done.exception)
    assert done.stdout == ""


def test_fewer_ranks_than_gpus_are_the_users_choice() -> None:
    words = words_of("docker", deploy("docker", "--", "--tp", "4", "--dp", "2").stdout)
    assert words[-4:] == ["--tp", "4", "--dp", "2"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            "--dp 2",
            "--tp 8 times --dp 2 (16 together) is more than the 8 GPUs that the server gets:"
            " say --tp 4 after --, too",
        ),
        ("--pp-size 2", "--tp 8 times --pp-size 2 (16 together) is more than the 8 GPUs"),
        ("--dp 16", "say --gpus 16 before --, and --tp 1 after it"),
        (
            "--tp 4 --dp=4",
            "--tp 4 times --dp 4 (16 together) is more than the 8 GPUs that the "
            "server gets: say --gpus 16 before --",
        ),
        ("--tp 2 --pipeline-parallel-size 2 --data-parallel-size 4", "(16 together)"),
        ("--tp 16 --enable-dp-attention --dp 16", "--tp 16 is more than the 8 GPUs"),
        ("--tp 4 --tensor-parallel-size 8 --pp 2", "--tensor-parallel-size 8 times --pp 2"),
    ],
)
def test_every_parallelism_takes_its_gpus(words: str, said: str) -> None:
    done = deploy("docker", "--", *words.split())
    assert isinstance(done.exception, InputError)
    assert said in str(done.exception)


@pytest.mark.parametrize(
    "words",
    [
        "--dp 8 --enable-dp-attention",
        "--dwdp-size=8 --dp 8",
        "--config /models/server.yaml --dp 8",
        "--tp 2 --pp-size 2 --dp-size 2",
        "--tp 16 --tp-size 4 --dp 4 --data-parallel-size 2",
        # More than one of the server's own begin so, or it takes no number: the server says it.
        "--tp two",
        "--dp 0",
        "--pp-max-micro-batch-size 16",
        "--dp",
    ],
)
def test_what_the_gpus_are_enough_for_is_the_servers(words: str) -> None:
    given = words.split()
    assert words_of("docker", deploy("docker", "--", *given).stdout)[-len(given) :] == given


def test_without_the_dashes_an_option_is_the_programs_own() -> None:
    done = deploy("compose", "--mem-fraction-static", "0.85")
    assert done.exit_code == 2
    assert "No such option" in done.output


def limits(*words: str) -> dict[str, Any]:
    done = deploy("kubernetes", *words)
    assert done.exit_code == 0, done.output
    found = next(iter(yaml.safe_load_all(done.stdout)))
    kubernetes_validate.validate(found, "1.37", strict=True)
    (container,) = found["spec"]["template"]["spec"]["containers"]
    limits: dict[str, Any] = container["resources"]["limits"]
    return limits


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("amd.com/gpu", 8),
        ("amd.com/spx_nps1", 8),
        ("amd.com/dpx_nps2", 16),
        ("amd.com/tpx_nps1", 24),
        ("amd.com/qpx_nps4", 32),
        ("amd.com/cpx_nps1", 64),
        ("amd.com/cpx_nps4", 64),
        ("example.org/mi300x", 8),
    ],
)
def test_the_resource_is_named_and_limits_how_many_there_are(name: str, most: int) -> None:
    named = ("--gpu-resource", name, "--gpus")
    assert limits(*named, str(most)) == {name: most}
    done = deploy("kubernetes", *named, str(most + 1))
    assert isinstance(done.exception, InputError)
    assert f"a node has {most} at the most ({name})" in str(done.exception)
    assert "LeaderWorkerSet: docs/leader-worker-set.yaml is one" in str(done.exception)


@pytest.mark.parametrize("kind", KINDS)
def test_more_gpus_than_a_node_has_are_refused_with_what_to_use(kind: str) -> None:
    assert deploy(kind, "--gpus", "8").exit_code == 0
    for number in ("9", "16", "1024"):
        done = deploy(kind, "--gpus", number)
        assert isinstance(done.exception, InputError)
        for text in ("LeaderWorkerSet", "--gpu-resource amd.com/cpx_nps4", "--gpus-per-node 64"):
            assert text in str(done.exception)
    # A plugin that calls partitions GPUs.
    assert deploy(kind, "--gpus", "64", "--gpus-per-node", "64").exit_code == 0
    assert deploy(kind, "--gpus", "5", "--gpus-per-node", "4").exit_code != 0


def test_the_resource_is_amds_where_none_is_named() -> None:
    assert limits() == {"amd.com/gpu": 8}


@pytest.mark.parametrize(
    "name", ["gpu", "amd.com/", "/gpu", "amd.com/gpu\n", "AMD.com/gpu", "amd.com/a/b", "a b/c", ""]
)
def test_what_kubernetes_takes_for_no_resource_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"is no name of a resource: .* amd\.com/cpx_nps4"):
        Deployment(IMAGE, "org/model", 1, gpu_resource=name)


@pytest.mark.parametrize("kind", ["docker", "compose"])
def test_docker_knows_no_resources(kind: str) -> None:
    done = deploy(kind, "--gpu-resource", "amd.com/gpu")
    assert isinstance(done.exception, InputError)
    assert "--gpu-resource is for --as kubernetes" in str(done.exception)


@pytest.mark.parametrize("kind", KINDS)
def test_models_are_kept_where_the_hub_puts_them(kind: str) -> None:
    text = deploy(kind).stdout
    if kind == "docker":
        assert f"  --volume serving-models:{MODEL_CACHE} \\\n" in text
    elif kind == "compose":
        found = yaml.safe_load(text)
        assert found["services"]["sglang"]["volumes"] == [f"models:{MODEL_CACHE}"]
        assert found["volumes"] == {"models": {"name": "serving-models"}}
    else:
        pod = next(iter(yaml.safe_load_all(text)))["spec"]["template"]["spec"]
        mounts = {
            mount["mountPath"]: mount["name"] for mount in pod["containers"][0]["volumeMounts"]
        }
        assert mounts[MODEL_CACHE] in {v["name"] for v in pod["volumes"] if "emptyDir" not in v}


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_of_the_hub_reaches_the_server_and_no_file(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    text = deploy(kind).stdout
    assert "HF_TOKEN" in text
    assert "hf_secret" not in text
    if kind == "docker":
        # Without a value docker gives it only where the shell has it.
        words = shlex.split(text.replace("\\\n", " ").partition(IMAGE)[0])
        assert words[words.index("--env") + 1] == "HF_TOKEN"


def test_run_args_keep_models_and_pass_the_token_as_well() -> None:
    done = CliRunner().invoke(main, ["run-args", IMAGE])
    flags = f" --volume serving-models:{MODEL_CACHE} --env HF_TOKEN {IMAGE}\n"
    assert flags in done.stdout


def test_no_image_puts_models_elsewhere() -> None:
    """Where the hub keeps them follows from these variables, and from who runs the server."""
    dockerfiles = sorted((PROJECT / "images").glob("*/Dockerfile"))
    assert dockerfiles
    names = "HF_HOME|HF_HUB_CACHE|HUGGINGFACE_HUB_CACHE|TRANSFORMERS_CACHE|XDG_CACHE_HOME|HOME"
    moved = re.compile(rf"\b({names})=")
    assert moved.search('ENV A="b" HF_HOME="/models"')
    for path in dockerfiles:
        text = path.read_text()
        assert not moved.search(text)
        assert re.findall(r"^USER (\S+)$", text, re.MULTILINE)[-1] == "root"
