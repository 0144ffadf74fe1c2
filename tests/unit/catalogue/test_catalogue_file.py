"""catalogue.json is written whole, read again as it was, and refused in sentences."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner

from made_up_catalogue import catalogue
from rocm_images.catalogue.file import parse, read, write
from rocm_images.catalogue.schema import Catalogue, CatalogueEntry, json_schema
from rocm_images.catalogue.verbs import schema_text
from rocm_images.cli.main import main
from rocm_images.errors import InputError
from rocm_images.matrix.schema import Matrix

PROJECT = Path(__file__).resolve().parent.parent.parent.parent
DOCUMENT = (PROJECT / "docs" / "catalogue.md").read_text()


@pytest.fixture
def document(project_matrix: Matrix) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(catalogue(project_matrix).model_dump_json(by_alias=True))
    return found


def test_what_was_written_is_read_again(project_matrix: Matrix, tmp_path: Path) -> None:
    path = tmp_path / "new" / "catalogue.json"
    write(path, catalogue(project_matrix))
    assert read(path) == catalogue(project_matrix)
    assert [entry.name for entry in path.parent.iterdir()] == ["catalogue.json"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_catalogue_that_cannot_be_written_is_as_it_was(
    project_matrix: Matrix, tmp_path: Path
) -> None:
    path = tmp_path / "catalogue.json"
    path.mkdir()
    (path / "kept").touch()
    with pytest.raises(InputError, match="cannot write it"):
        write(path, catalogue(project_matrix))
    assert [entry.name for entry in tmp_path.iterdir()] == ["catalogue.json"]
    assert (path / "kept").exists()


def without(key: str) -> Callable[[dict[str, Any]], None]:
    return lambda document: document["images"][0].pop(key)


def setting(key: str, value: object) -> Callable[[dict[str, Any]], None]:
    return lambda document: document["images"][0].update({key: value})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (without("digest"), r"images\[0\]\.digest: Field required"),
        (setting("digest", "sha256:1"), r"images\[0\]\.digest: String should match"),
        (setting("surprise", 1), r"images\[0\]\.surprise: Extra inputs"),
        (setting("gpus", ["\x1b[31mred"]), r"images\[0\]\.gpus\[0\]: holds a character"),
        (setting("gpus", []), r"images\[0\]\.gpus"),
        (setting("published", "2026-13-01T00:00:00+00:00"), r"images\[0\]\.published"),
        (setting("version", "newest"), r"images\[0\]\.version: 'newest' is not a version"),
        (setting("size", -1), r"images\[0\]\.size"),
        (setting("server", "made-up"), r"images\[0\]\.server: this program knows no .* 'made-up'"),
        (lambda document: document.update(images=3), r"images: Input should be"),
        (lambda document: document.pop("schema"), "no schema version"),
        (lambda document: document.update(schema="1"), "no schema version"),
        (lambda document: document.update(schema=True), "no schema version"),
        (lambda document: document.update(schema=0), "schema: Input should be 2"),
        (
            lambda document: document.update(schema=3, images="of another kind"),
            "this catalogue has schema 3, and this program knows 2: take a newer version",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    document: dict[str, Any], change: Callable[[dict[str, Any]], None], sentence: str
) -> None:
    parse(json.dumps(document).encode(), "catalogue.json")
    change(document)
    with pytest.raises(InputError, match=f"catalogue.json: .*{sentence}"):
        parse(json.dumps(document).encode(), "catalogue.json")


def test_a_catalogue_of_before_there_were_several_servers_is_read(
    document: dict[str, Any],
) -> None:
    for key in ("images", "history"):
        document[key] = [entry for entry in document[key] if entry["server"] == "sglang"]
    now = parse(json.dumps(document).encode(), "catalogue.json")
    document["schema"] = 1
    for entry in (*document["images"], *document["history"]):
        del entry["server"]
        entry["cell"] = entry["cell"].removeprefix("sglang-")
        entry["sglang"], entry["aiter"] = entry.pop("version"), entry.pop("components")["aiter"]
    then = parse(json.dumps(document).encode(), "catalogue.json")
    components = [{"aiter": entry.components["aiter"]} for entry in now.images]
    assert [entry.components for entry in then.images] == components
    pairs = zip(then.images, now.images, strict=True)
    assert all(one.model_copy(update={"components": two.components}) == two for one, two in pairs)


@pytest.mark.parametrize("images", [3, [3], [{}], [{"cell": 3}]])
def test_what_is_wrong_in_an_older_catalogue_is_said_too(images: object) -> None:
    document = {"schema": 1, "updated": "2026-10-01T00:00:00+00:00", "images": images}
    with pytest.raises(InputError, match=r"catalogue\.json: images"):
        parse(json.dumps(document).encode(), "catalogue.json")


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b'"text"'])
def test_what_is_no_catalogue_is_refused(content: bytes) -> None:
    with pytest.raises(InputError, match="this is no catalogue"):
        parse(content, "catalogue.json")


def test_a_missing_file_is_a_sentence_and_exit_code_2(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read the catalogue"):
        read(tmp_path / "catalogue.json")


def test_the_committed_json_schema_is_the_programs() -> None:
    assert (PROJECT / "docs" / "catalogue.schema.json").read_text() == schema_text()
    printed = CliRunner().invoke(main, ["catalogue", "--schema"])
    assert printed.output == schema_text()


def test_the_json_schema_accepts_what_is_written_and_not_less(document: dict[str, Any]) -> None:
    validator = jsonschema.Draft202012Validator(json_schema())
    validator.check_schema(json_schema())
    validator.validate(document)
    document["images"][0]["digest"] = "sha256:1"
    assert [list(error.path) for error in validator.iter_errors(document)] == [
        ["images", 0, "digest"]
    ]


@pytest.mark.parametrize("model", [Catalogue, CatalogueEntry])
def test_every_key_is_described(model: type[Catalogue]) -> None:
    described = set(re.findall(r"`([a-z_]+)`", DOCUMENT))
    keys = {info.alias or name for name, info in model.model_fields.items()}
    assert keys <= described, keys - described


def test_the_documents_level_words_are_the_programs() -> None:
    from rocm_images.smoke.evidence import Level

    for level in Level:
        assert f"`{level}`" in DOCUMENT
