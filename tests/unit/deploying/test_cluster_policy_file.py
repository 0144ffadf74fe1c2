"""The sample policies for a cluster are what their controller's schema and our evidence are."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from rocm_images.engine.run_flags import AS_DEPLOYED
from rocm_images.registry.statements import EVIDENCE

PROJECT = Path(__file__).resolve().parents[3]
SAMPLE = PROJECT / "docs" / "cluster-policy.yaml"


def strict(schema: Any) -> Any:
    """The same, refusing keys that it does not name, as `kubectl apply` with strict validation."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: strict(value) for key, value in schema.items()}
    known = isinstance(schema.get("properties"), dict) and schema.get("type") == "object"
    return {**found, "additionalProperties": False} if known else found


SCHEMA = strict(json.loads((PROJECT / "tests/data/cluster-image-policy.schema.json").read_text()))
POLICIES = list(yaml.safe_load_all(SAMPLE.read_text()))


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy["metadata"]["name"])
def test_the_controllers_schema_accepts_each_policy(policy: dict[str, Any]) -> None:
    assert policy["apiVersion"] == "policy.sigstore.dev/v1beta1"
    assert policy["kind"] == "ClusterImagePolicy"
    assert policy.keys() == {"apiVersion", "kind", "metadata", "spec"}
    jsonschema.validate(policy["spec"], SCHEMA)


@pytest.mark.parametrize(
    ("place", "key"),
    [
        ((), "authorities"),
        (("images", 0), "glob"),
        (("authorities", 0), "key"),
        (("authorities", 0, "key"), "secretRef"),
        (("authorities", 0, "attestations", 0), "predicateType"),
        (("authorities", 0, "attestations", 0, "policy"), "data"),
    ],
)
def test_the_schema_would_refuse_a_key_that_is_misspelt(place: tuple[Any, ...], key: str) -> None:
    spec = copy.deepcopy(POLICIES[1]["spec"])
    part = spec
    for step in place:
        part = part[step]
    part[f"{key}s"] = part.pop(key)
    with pytest.raises(jsonschema.ValidationError, match=f"'{key}s' was unexpected"):
        jsonschema.validate(spec, SCHEMA)


def test_both_policies_are_enforced_for_the_same_images_and_key() -> None:
    signed, ran = (copy.deepcopy(policy["spec"]) for policy in POLICIES)
    assert (signed["mode"], signed["images"]) == (ran["mode"], ran["images"])
    assert signed["mode"] == "enforce"
    # One of several authorities would be enough, so there is one.
    (only,), (other,) = signed["authorities"], ran["authorities"]
    # With attestations the controller looks for them in place of the signature.
    (attestation,) = other.pop("attestations")
    assert only == other
    assert attestation["predicateType"] == EVIDENCE
    assert f'predicateType: "{EVIDENCE}"\n' in attestation["policy"]["data"]
    assert AS_DEPLOYED.startswith("--device /dev/kfd ")


def test_every_field_that_the_policy_constrains_has_to_be_there() -> None:
    """The controller takes a field that is missing for one that fits, `!` or not."""
    (authority,) = POLICIES[1]["spec"]["authorities"]
    text = authority["attestations"][0]["policy"]["data"]
    constrained = re.findall(r"^  (\w+)\?:", text, re.MULTILINE)
    assert constrained == ["schema", "passed", "tests_failed", "level", "ran_as"]
    asked = re.search(r"for field in (\[.*\]) \{", text)
    assert asked
    assert json.loads(asked[1]) == constrained
    assert "!:" not in text
