"""The bill of a rehearsed image has what is in it, and no image makes more of it than that."""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from conftest import PROJECT, Answer, containers_of, run_in
from rocm_images.engine.connect import Engine
from rocm_images.errors import EngineError
from rocm_images.recipe.labels import PREFIX
from rocm_images.sbom import syft
from rocm_images.sbom.document import Bill
from rocm_images.sbom.made import listed, sbom_of, sbom_path

CELL = "sglang-942-rocm7.2.2"


@pytest.fixture
def image_id(rehearsed: Answer) -> str:
    found: str = rehearsed.summary[CELL]["image_id"]
    return found


@pytest.fixture
def kept(image_id: str, real_engine: Engine) -> Path:
    """The bill that the smoke test left, unless an earlier run tested the image."""
    folder = PROJECT / "build" / "evidence"
    sbom_of(real_engine, image_id, folder)
    return sbom_path(folder, image_id)


def test_it_is_valid_of_this_image_and_the_same_bytes_again(
    image_id: str, kept: Path, real_engine: Engine, tmp_path: Path
) -> None:
    text = kept.read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert json.loads(text)["metadata"]["component"]["version"] == image_id
    assert sbom_of(real_engine, image_id, tmp_path) == json.loads(text)
    assert sbom_path(tmp_path, image_id).read_text() == text


def test_it_has_exactly_what_dpkg_and_at_least_what_pip_lists(
    image_id: str, kept: Path, client: docker.DockerClient
) -> None:
    bill = Bill.of_document(json.loads(kept.read_text()))
    script = (
        "dpkg-query --show --showformat '${Package} ${Version}\\n'; echo --; pip list --format json"
    )
    status, said, complaint = run_in(client, image_id, [script], entrypoint=["sh", "-c"])
    assert status == 0, complaint
    dpkg, _, pip = said.partition("--\n")
    assert {f"{one.name} {one.version}" for one in bill.packages if one.kind == "dpkg"} == set(
        dpkg.splitlines()
    )
    there = {(_plain(one.name), one.version) for one in bill.packages if one.kind == "pip"}
    # And what lies in other folders than pip's: in wheels that carry others.
    assert there >= {(_plain(one["name"]), one["version"]) for one in json.loads(pip)}
    assert all(one.size for one in bill.packages if one.kind == "dpkg")


def _plain(name: str) -> str:
    """https://packaging.python.org/en/latest/specifications/name-normalization/"""
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture
def hostile(client: docker.DockerClient, image_id: str) -> Iterator[str]:
    """An image with odd packages that tells syft, by all that it has, to leave things out."""
    settings = "exclude: ['./opt/**', './var/**', './odd/**']\n"
    site = "odd/lib/python3.13/site-packages"
    files = {
        f"{site}/many-1.dist-info/METADATA": "Name: many\nVersion: 1\nSummary: " + "x" * 5_000_000,
        f"{site}/many-1.dist-info/RECORD": "many/a.py,,\n" * 200_000,
        f"{site}/red-1.dist-info/METADATA": "Name: \x1b[31mred<script>\nVersion: 1\x07\n",
        **{f"{folder}.syft.yaml": settings for folder in ("", "odd/", "root/")},
        "odd/syft/config.yaml": settings,
    }
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    container = client.containers.create(image_id, ["true"], labels={PREFIX + "test": "pipeline"})
    try:
        container.put_archive("/", whole.getvalue())
        made = container.commit(
            changes=[
                "ENV SYFT_EXCLUDE=./opt/**,./var/** XDG_CONFIG_HOME=/odd HOME=/odd",
                "ENV SYFT_DEFAULT_CATALOGERS=javascript SYFT_OUTPUT=json",
                "HEALTHCHECK --interval=1s CMD sleep 60",
                "WORKDIR /odd",
                "USER nobody",
            ]
        )
    finally:
        container.remove()
    yield str(made.id)
    client.images.remove(made.id, force=True)


def test_an_image_hides_nothing_and_its_texts_act_nowhere(
    hostile: str, kept: Path, real_engine: Engine
) -> None:
    document = listed(real_engine, hostile)
    bill = Bill.of_document(document)
    known = Bill.of_document(json.loads(kept.read_text()))
    assert set(known.packages) < set(bill.packages)
    odd = {one.name for one in set(bill.packages) - set(known.packages)}
    assert "many" in odd
    assert not re.search("[\x00-\x1f]", "".join(odd))
    # Megabytes of description are no part of it.
    assert len(json.dumps(document)) < len(kept.read_text())


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("sleep 600", "it did not end within"),
        ("printf '\\033[31mno\\n' >&2; exit 3", r"syft ended with 3 \(\\u001b\[31mno\)"),
        ("true", "does not run in it|no file|Could not find"),
        ("echo '{' > bill.json", "answer cannot be read"),
        ("echo '{}' > bill.json", "it is no CycloneDX of an image"),
        ("head -c 40000000 /dev/zero > bill.json", "it has more than 32 MiB"),
        ("ln -s /etc/passwd bill.json", "it is no file"),
        ("mkdir bill.json", "it is no file"),
    ],
)
def test_a_syft_that_hangs_or_says_odd_things_is_a_sentence_and_nothing_is_left(
    script: str,
    says: str,
    image_id: str,
    real_engine: Engine,
    client: docker.DockerClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(syft, "SECONDS", 20.0 if "sleep" not in script else 1.0)
    program = tmp_path / "syft"
    program.write_text(f"#!/bin/sh\n{script}\n")
    with pytest.raises(EngineError, match=says):
        sbom_of(real_engine, image_id, tmp_path, program)
    assert [path.name for path in tmp_path.iterdir()] == ["syft"]
    assert containers_of(client, "sbom", image_id) == []


def test_it_has_no_network_and_writes_nothing_but_its_answer(
    image_id: str, real_engine: Engine, tmp_path: Path
) -> None:
    program = tmp_path / "syft"
    program.write_text(
        "#!/bin/sh\nif touch /opt/x 2>/dev/null; then echo it writes; exit 1; fi >&2\n"
        '[ -z "$(ls /sys/class/net | grep -v lo)" ] || { echo it has a network >&2; exit 1; }\n'
        '[ -z "$ROCM_PATH" ] || { echo it has an environment >&2; exit 1; }\n'
        "echo it is alone >&2; exit 7\n"
    )
    with pytest.raises(EngineError, match=r"ended with 7 \(it is alone\)"):
        sbom_of(real_engine, image_id, tmp_path, program)
