"""A bill as syft says it, of a few made-up packages, and what the program makes of it."""

from __future__ import annotations

from typing import Any

from rocm_images.sbom.document import normalised

IMAGE_ID = "sha256:" + "a" * 64
OTHER_ID = "sha256:" + "b" * 64
CELL_NAME = "sglang-942-rocm7.2.2"
BUILD_ID = "c" * 64
LABELS = {
    "rocm-serving-images.cell": CELL_NAME,
    "rocm-serving-images.build-id": BUILD_ID,
    "org.opencontainers.image.title": "SGLang for AMD GPUs",
    "org.opencontainers.image.version": "v0.5.21-rocm722-mi30x",
}


def component(name: str, version: str, purl: str, **more: Any) -> dict[str, Any]:
    return {
        "bom-ref": f"{purl}?package-id=1",
        "type": "library",
        "name": name,
        "version": version,
        "purl": purl,
        **more,
    }


SAID: dict[str, Any] = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.6",
    "serialNumber": "urn:uuid:69a9c93d-7cba-49f7-b1de-fe2c3cc5696d",
    "version": 1,
    "metadata": {
        "timestamp": "2026-11-26T22:01:02Z",
        "tools": {"components": [{"type": "application", "name": "syft", "version": "1.18.1"}]},
        "component": {"bom-ref": "af63", "type": "file", "name": "/"},
    },
    "components": [
        component("torch", "2.11.0+rocm7", "pkg:pypi/torch@2.11.0%2Brocm7"),
        component(
            "apt",
            "3.0.4",
            "pkg:deb/debian/apt@3.0.4?arch=amd64",
            cpe="cpe:2.3:a:apt:apt:3.0.4:*:*:*:*:*:*:*",
            properties=[
                {"name": "syft:cpe23", "value": "cpe:2.3:a:apt:apt:3.0.4:*:*:*:*:*:*:*"},
                {"name": "syft:metadata:installedSize", "value": "4481"},
            ],
        ),
        {"bom-ref": "os", "type": "operating-system", "name": "debian", "version": "13"},
        {"bom-ref": "f", "type": "file", "name": "/etc/passwd"},
    ],
    "dependencies": [
        {
            "ref": "pkg:deb/debian/apt@3.0.4?arch=amd64?package-id=1",
            "dependsOn": ["f", "pkg:pypi/torch@2.11.0%2Brocm7?package-id=1"],
        },
        {"ref": "f", "dependsOn": []},
    ],
}


def bill_of(image_id: str) -> dict[str, Any]:
    """The bill of an image."""
    return normalised(SAID, image_id, LABELS)
