"""Helm makes what --as kubernetes writes, and of other values what Kubernetes takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import helm_python
import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner, Result

from rocm_images.cli.main import main
from rocm_images.deploying.chart import write_chart
from rocm_images.deploying.manifests import Deployment, Kind, rendered
from rocm_images.errors import InputError
from rocm_images.servers import SERVERS, Server

IMAGE = "registry.example.org/made-up@sha256:" + "ab" * 32
EACH = pytest.mark.parametrize("server", list(SERVERS.values()), ids=list(SERVERS))
# As YAML and helm's templates might read them.
MODEL = "a$(HOME) it's: {{ 1 }} größe <&> #x"
ARGUMENTS = ("--x", '{{ .Values.port }} $(A) "b"', "--yes", "no", "1e3")


def made(folder: Path, values: dict[str, Any] | None = None, **changes: Any) -> Any:
    """Each object that helm makes, by its kind."""
    given: dict[str, Any] = {"image": IMAGE, "model": "org/model", "gpus": 4, **changes}
    write_chart(Deployment(**given), folder)
    texts = helm_python.Chart.load(folder).render(values or {}, name="release").values()
    found = [one for text in texts for one in yaml.safe_load_all(text) if one]
    return {one["kind"]: one for one in found}


@EACH
def test_with_its_own_values_it_makes_the_objects_of_as_kubernetes(
    server: Server, tmp_path: Path
) -> None:
    changes: dict[str, Any] = {
        "model": MODEL,
        "server": server,
        "arguments": ARGUMENTS,
        "gpu_resource": "amd.com/cpx_nps4",
        "port": 8123,
        "name": "no",
    }
    expected = rendered(Deployment(**{"image": IMAGE, "gpus": 4, **changes}), Kind.KUBERNETES)
    found = made(tmp_path, **changes)
    assert found == {one["kind"]: one for one in yaml.safe_load_all(expected)}
    assert len(found) == 3


@EACH
@pytest.mark.parametrize(
    "values",
    [
        {"imagePullSecrets": [{"name": "a"}], "nodeSelector": {"a/b": "true"}},
        {"tolerations": [{"key": "amd.com/gpu", "operator": "Exists"}], "sharedMemory": "64Gi"},
        {"modelCache": {"size": "2Ti", "storageClass": "fast"}},
        {"startup": {"minutes": 1440}, "readiness": {"periodSeconds": 1}},
    ],
)
def test_kubernetes_accepts_what_other_values_make(
    server: Server, values: dict[str, Any], tmp_path: Path
) -> None:
    found = made(tmp_path, values, server=server)
    for one in found.values():
        kubernetes_validate.validate(one, "1.37", strict=True)
    assert found != made(tmp_path, server=server)


@EACH
def test_a_value_reaches_every_place_that_it_is_in(server: Server, tmp_path: Path) -> None:
    values = {"name": "", "port": 8000, "gpus": {"count": 2}, "model": "other/model"}
    found = made(tmp_path, values, server=server)
    assert {one["metadata"]["name"] for one in found.values()} == {"release", "release-models"}
    (container,) = found["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["python3", *server.command("other/model", 2, 8000, "0.0.0.0")]
    assert container["ports"][0]["containerPort"] == 8000
    assert found["Service"]["spec"]["ports"][0]["port"] == 8000
    assert container["resources"]["limits"] == {"amd.com/gpu": 2}


def test_a_claim_that_is_there_takes_the_place_of_the_charts_own(tmp_path: Path) -> None:
    found = made(tmp_path, {"modelCache": {"existingClaim": "models-of-all"}})
    assert set(found) == {"Deployment", "Service"}
    volumes = found["Deployment"]["spec"]["template"]["spec"]["volumes"]
    claims = [volume.get("persistentVolumeClaim") for volume in volumes]
    assert claims == [None, {"claimName": "models-of-all"}]


def test_the_volume_and_the_probes_are_as_the_values_say(tmp_path: Path) -> None:
    cache = {"size": "2Ti", "storageClass": "fast"}
    found = made(tmp_path, {"modelCache": cache, "startup": {"minutes": 90}})
    claim = found["PersistentVolumeClaim"]["spec"]
    assert claim["storageClassName"] == "fast"
    assert claim["resources"]["requests"]["storage"] == "2Ti"
    (container,) = found["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container["startupProbe"]["failureThreshold"] * 10 == 90 * 60
    assert found["Deployment"]["spec"]["progressDeadlineSeconds"] > 90 * 60


@pytest.mark.parametrize(
    "values",
    [
        {"image": "registry.example.org/made-up:latest"},
        {"gpus": {"count": 0}},
        {"gpus": {"resource": "gpu"}},
        {"modelcache": {"size": "1Gi"}},
        {"modelCache": {"size": "500"}},
        {"name": "Upper"},
        {"port": "8000"},
    ],
)
def test_helm_refuses_a_value_that_cannot_be(values: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(helm_python.HelmValuesError, match="specifications of the schema"):
        made(tmp_path, values)


def test_helm_finds_no_fault_with_the_chart(tmp_path: Path) -> None:
    made(tmp_path)
    said = [message["error"] for message in helm_python.lint(tmp_path)["messages"]]
    assert said == ["icon is recommended"]


def deploy(*words: str) -> Result:
    given = ["deploy", IMAGE, "--as", "helm", "--model", "org/model", "--server", "sglang"]
    return CliRunner().invoke(main, [*given, *words])


def test_deploy_writes_the_folder_of_a_chart_and_writes_it_anew(tmp_path: Path) -> None:
    folder = tmp_path / "a chart"
    for gpus in ("2", "4"):
        done = deploy("--gpus", gpus, "--output", str(folder), "--", "--trust-remote-code")
        assert done.exit_code == 0, done.output
        assert f"helm install sglang '{folder}'\n" in done.stdout
        values = helm_python.Chart.load(folder).values
        assert values["gpus"]["count"] == int(gpus)
        assert values["arguments"] == ["--trust-remote-code"]


def test_deploy_asks_for_the_folder_of_a_chart(tmp_path: Path) -> None:
    refused = deploy()
    assert isinstance(refused.exception, InputError)
    assert "say in which folder, --output FOLDER" in str(refused.exception)


def test_deploy_leaves_a_folder_alone_that_is_no_chart(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")
    refused = deploy("--output", str(tmp_path))
    assert isinstance(refused.exception, InputError)
    assert "is there and is no chart" in str(refused.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]
