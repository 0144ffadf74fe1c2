"""The documents' LeaderWorkerSet is what Kubernetes takes, and serves as a Deployment does."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from rocm_images.deploying.manifests import _PINNED, Deployment, Kind, rendered
from rocm_images.engine.run_flags import MODEL_CACHE, serving_command
from rocm_images.servers import DEFAULT

PROJECT = Path(__file__).resolve().parents[3]
FOUND = {
    document["kind"]: document
    for document in yaml.safe_load_all((PROJECT / "docs/leader-worker-set.yaml").read_text())
}
GROUP = FOUND["LeaderWorkerSet"]["spec"]["leaderWorkerTemplate"]
IMAGE = "registry.example.org/sglang-rocm@sha256:" + "ab" * 32
PARTS = ("leaderTemplate", "workerTemplate")
VERSIONS = ("1.30", "1.37")


def pod(part: str) -> dict[str, Any]:
    template = copy.deepcopy(GROUP[part])
    template["metadata"]["name"] = part.lower()
    return {"apiVersion": "v1", "kind": "Pod", **template}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("part", PARTS)
def test_kubernetes_takes_the_pods_of_the_group(part: str, version: str) -> None:
    kubernetes_validate.validate(pod(part), version, strict=True)
    wrong = pod(part)
    wrong["spec"]["containers"][0]["volumeMount"] = []
    with pytest.raises(kubernetes_validate.ValidationError, match="volumeMount"):
        kubernetes_validate.validate(wrong, version, strict=True)


@pytest.mark.parametrize("kind", ["Service", "PersistentVolumeClaim"])
def test_kubernetes_takes_what_belongs_to_it(kind: str) -> None:
    for version in VERSIONS:
        kubernetes_validate.validate(FOUND[kind], version, strict=True)


def test_the_group_has_the_keys_of_its_controller() -> None:
    """Of leaderworkerset.x-k8s.io/v1; its schema repeats that of all pods."""
    whole = FOUND["LeaderWorkerSet"]
    assert whole["apiVersion"] == "leaderworkerset.x-k8s.io/v1"
    assert whole["spec"].keys() == {"replicas", "leaderWorkerTemplate"}
    assert GROUP.keys() == {"size", "restartPolicy", *PARTS}
    assert GROUP["restartPolicy"] in ("RecreateGroupOnPodRestart", "None")


def test_every_node_starts_the_same_server_with_its_own_rank() -> None:
    leader, worker = (pod(part)["spec"]["containers"][0] for part in PARTS)
    for key in ("image", "args", "env", "resources", "securityContext", "volumeMounts"):
        assert leader[key] == worker[key], key
    gpus = int(leader["resources"]["limits"]["amd.com/gpu"]) * GROUP["size"]
    words = list(leader["args"])
    place = words.index("--nnodes")
    assert words[place : place + 6] == [
        *("--nnodes", "$(LWS_GROUP_SIZE)", "--node-rank", "$(LWS_WORKER_INDEX)"),
        *("--dist-init-addr", "$(LWS_LEADER_ADDRESS):20000"),
    ]
    del words[place : place + 6]
    assert tuple(words) == serving_command(DEFAULT, "MODEL", DEFAULT.port, gpus)


def test_a_node_gets_what_a_deployment_of_one_gets() -> None:
    texts = rendered(Deployment(IMAGE, "MODEL", 8), Kind.KUBERNETES)
    alone = next(iter(yaml.safe_load_all(texts)))["spec"]["template"]["spec"]
    leader = pod("leaderTemplate")["spec"]
    assert leader["volumes"] == alone["volumes"]
    (mine,), (its,) = leader["containers"], alone["containers"]
    different = {"image", "args", "env"}
    assert {k: v for k, v in mine.items() if k not in different} == {
        k: v for k, v in its.items() if k not in different
    }
    assert _PINNED.fullmatch(mine["image"])
    assert any(mount["mountPath"] == MODEL_CACHE for mount in mine["volumeMounts"])


def test_the_service_leads_to_the_leader_alone() -> None:
    selector = FOUND["Service"]["spec"]["selector"].items()
    assert selector <= GROUP["leaderTemplate"]["metadata"]["labels"].items()
    assert not selector <= GROUP["workerTemplate"]["metadata"]["labels"].items()
