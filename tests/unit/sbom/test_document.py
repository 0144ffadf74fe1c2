"""A bill is the same for the same image, says of which, and holds nothing that acts on a reader."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from made_up_sbom import BUILD_ID, CELL_NAME, IMAGE_ID, LABELS, OTHER_ID, SAID, component

from hostile_registry import Image
from rocm_images.errors import VerificationFailed
from rocm_images.registry.manifest import Manifest
from rocm_images.registry.published import PublishedImage
from rocm_images.registry.sbom import sbom_among
from rocm_images.sbom.document import Bill, normalised

TOP = Manifest(Image({}).top)
CONFIG = TOP.document["config"]["digest"]
IMAGE = PublishedImage("registry/name", TOP, TOP.document, IMAGE_ID, {})


def test_the_same_packages_make_the_same_bill_whenever_they_are_listed() -> None:
    again = deepcopy(SAID)
    again["serialNumber"] = "urn:uuid:00000000-7cba-49f7-b1de-fe2c3cc5696d"
    again["metadata"]["timestamp"] = "2027-01-01T00:00:00Z"
    again["components"].reverse()
    again["dependencies"].reverse()
    assert normalised(again, IMAGE_ID, LABELS) == normalised(SAID, IMAGE_ID, LABELS)


def test_another_package_makes_another_bill_with_another_number() -> None:
    other = deepcopy(SAID)
    other["components"][0]["version"] = "2.12"
    found = [normalised(one, IMAGE_ID, LABELS)["serialNumber"] for one in (SAID, other)]
    assert len(set(found)) == 2


def test_a_bill_is_of_an_image_and_lists_no_files_and_no_guesses() -> None:
    found = normalised(SAID, IMAGE_ID, LABELS)
    assert found["metadata"]["component"] == {
        "bom-ref": IMAGE_ID,
        "type": "container",
        "name": "SGLang for AMD GPUs",
        "version": IMAGE_ID,
        "description": "v0.5.21-rocm722-mi30x",
        "properties": [
            {"name": "rocm-serving-images.build-id", "value": BUILD_ID},
            {"name": "rocm-serving-images.cell", "value": CELL_NAME},
        ],
    }
    assert "timestamp" not in found["metadata"]
    assert [one["name"] for one in found["components"]] == ["apt", "torch", "debian"]
    assert "cpe" not in str(found)
    assert [one["dependsOn"] for one in found["dependencies"]] == [
        ["pkg:pypi/torch@2.11.0%2Brocm7?package-id=1"]
    ]


def test_packages_are_read_with_the_size_that_dpkg_says() -> None:
    found = Bill.of_document(normalised(SAID, IMAGE_ID, LABELS))
    assert found.image_id == IMAGE_ID
    told = [(one.kind, one.name, one.version, one.size) for one in found.packages]
    assert told == [
        ("dpkg", "apt", "3.0.4", 4481 * 1024),
        ("pip", "torch", "2.11.0+rocm7", None),
    ]


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"bomFormat": "SPDX", "specVersion": "1.6", "metadata": {"component": {}}},
        {**SAID, "specVersion": "9"},
        {**SAID, "components": [{"type": "library", "name": 3}]},
        {**SAID, "components": 7},
    ],
)
def test_what_is_no_bill_is_refused_with_a_sentence(document: Any) -> None:
    with pytest.raises(ValueError, match="it is no CycloneDX of an image"):
        normalised(document, IMAGE_ID, LABELS)


def test_texts_of_an_image_do_not_act_on_a_terminal_and_passwords_in_them_are_masked() -> None:
    said = deepcopy(SAID)
    said["components"] = [
        component("red\x1b[31m\n", "1", "pkg:pypi/red@1", author="https://me:secret@example.org/")
    ]
    found = normalised(said, IMAGE_ID, LABELS)
    assert "secret" not in str(found)
    assert [one.name for one in Bill.of_document(found).packages] == ["red\\u001b[31m\\n"]


def test_the_bill_of_an_image_is_found_among_statements() -> None:
    ours, others = (normalised(SAID, of, LABELS) for of in (IMAGE_ID, OTHER_ID))
    found = sbom_among([{"a": 1}, others, ours], IMAGE)
    assert found is not None
    assert (found.image_id, found.document) == (IMAGE_ID, ours)
    assert sbom_among([], IMAGE) is None


def test_an_engine_that_knows_an_image_by_its_configuration_makes_a_bill_of_the_same_image() -> (
    None
):
    assert sbom_among([normalised(SAID, CONFIG, LABELS)], IMAGE) is not None


@pytest.mark.parametrize("said", [normalised(SAID, OTHER_ID, LABELS), {"bomFormat": "none"}])
def test_a_bill_of_another_image_or_none_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(VerificationFailed, match="says nothing of what it holds"):
        sbom_among([said], IMAGE)
