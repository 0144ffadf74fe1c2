"""Whatever sets up a build, and whatever it and its image say, the reader ends as documented.

test_files_of_others.py has the table of all formats.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from made_up_sbom import SAID
from requests import Response

from made_up_catalogue import entry
from odd_documents import contents, damaged, odd, written
from rocm_images.build.summary import CellReport, Result, failures
from rocm_images.comparing.facts import ImageFacts
from rocm_images.plan.cells import cells_of
from rocm_images.plan.load import load
from rocm_images.registry.retries import Retries
from rocm_images.sbom.document import Bill, normalised
from verbs import ACTS, ends

PROJECT = Path(__file__).parents[3]
MATRIX = load(PROJECT / "matrix.yaml")
CELL = cells_of(MATRIX)[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


class Loader(yaml.SafeLoader):
    """All scalars as they are written."""


Loader.yaml_implicit_resolvers = {}
A_MATRIX = yaml.load((PROJECT / "matrix.yaml").read_text(), Loader)


def as_yaml(document: Any) -> bytes:
    try:
        text: str = yaml.safe_dump(document, allow_unicode=True)
        return text.encode()
    except (UnicodeEncodeError, yaml.YAMLError):
        return written(document)


@given(contents(A_MATRIX, as_yaml))
def test_a_matrix(folder: Path, content: bytes) -> None:
    path = folder / "matrix.yaml"
    path.write_bytes(content)
    ends("explain", CELL.name, "--matrix", str(path), codes=(0, 2))


A_LOCK = {
    "schema": "1",
    "bases": {"rocm/pytorch:rocm7.2": "sha256:" + "ab" * 32},
    "sources": {"https://example.org/a.git#v1": "ab" * 20},
}


@given(contents(A_LOCK, as_yaml))
def test_a_lock(folder: Path, content: bytes) -> None:
    from rocm_images.errors import InputError
    from rocm_images.lock import file

    path = folder / "matrix.lock"
    path.write_bytes(content)
    with contextlib.suppress(InputError):
        assert file.text_of(file.read(path), "matrix.yaml")


A_LIST = {"name": "rocm/pytorch", "tags": ["rocm7.2", "latest", None, "x"]}
LINKS = st.none() | st.text() | st.from_regex(r"</v2/x\?last=[a-z%&=]*>; rel=next", fullmatch=True)


@given(contents(A_LIST), LINKS)
def test_a_list_of_tags(content: bytes, link: str | None) -> None:
    from rocm_images.errors import RegistryError
    from rocm_images.references import TAG
    from rocm_images.registry.address import RegistryAddress
    from rocm_images.registry.client import Repository

    answer = Response()
    answer._content = content
    answer.headers.update({"Link": link} if link else {})
    repository = Repository(RegistryAddress.parse("127.0.0.1:1"), "x", retries=Retries(attempts=1))
    asked = mock.Mock(page_of_tags=mock.Mock(return_value=answer))
    with mock.patch.object(Repository, "_connection", return_value=asked):
        found: tuple[str, ...] | None = None
        with contextlib.suppress(RegistryError):
            found = repository.list_tags()
        assert all(re.fullmatch(TAG, one, re.ASCII) for one in found or ())
    assert asked.page_of_tags.call_count <= 3


A_TAG = st.text() | st.from_regex(r"rocm\d*\.\d*_ubuntu22\.04_py\d\.\d+_pytorch_release_.*")
A_REF = st.text() | st.from_regex(r"v[0-9.]*[0-9](rc|\.post|\+)?[0-9]*", fullmatch=True)


@given(st.lists(A_TAG, max_size=3), st.lists(A_REF, max_size=3))
def test_tags_that_are_held_to_the_matrix(tags: list[str], refs: list[str]) -> None:
    from rocm_images.lock.newer import News, forms_of, servers_of, tried_bases, tried_release
    from rocm_images.lock.news import lines_of

    bases = [
        one
        for form, newest in forms_of(MATRIX).items()
        for one in tried_bases(MATRIX, form, newest, tags)
    ]
    releases = [
        one
        for server, source in servers_of(MATRIX).items()
        if (one := tried_release(MATRIX, server, source, refs))
    ]
    assert all(line.isprintable() for line in lines_of(News(tuple(bases), tuple(releases))))


@given(contents(A_MATRIX, as_yaml))
def test_a_matrix_that_is_given_a_base(content: bytes) -> None:
    from rocm_images.errors import InputError
    from rocm_images.lock.newer import NewerBase
    from rocm_images.lock.take import with_base
    from rocm_images.matrix.schema import Base

    text = content.decode(errors="replace")
    base = Base(image="a:b", python="3.12", torch="2.10")
    one = NewerBase("7.3.0", base, "7.2.4", base, ())
    with contextlib.suppress(InputError):
        after = with_base(text, one, "matrix.yaml").splitlines()
        assert "7.3.0:" in "".join(after)
        assert len(after) == len(text.splitlines()) + 4


DOCKERS = {
    "cliPluginsExtraDirs": ["/proc/absent", "/proc/absent/else"],
    "auths": {"r.example.org": {"auth": "YTpi"}},
    "currentContext": "remote",
    "credHelpers": {"x.example.org": "none"},
}
CONTEXT = {"Name": "remote", "Metadata": {}, "Endpoints": {"docker": {"Host": "tcp://127.0.0.1:1"}}}


@given(contents(DOCKERS), contents(CONTEXT))
def test_dockers_configuration(folder: Path, configuration: bytes, context: bytes) -> None:
    from rocm_images.engine.buildx_program import _plugin_folders
    from rocm_images.engine.endpoint import endpoint_of
    from rocm_images.engine.logins import credentials_of
    from rocm_images.errors import EngineError, RegistryError

    name = hashlib.sha256(b"remote").hexdigest()
    meta = folder / "contexts" / "meta" / name / "meta.json"
    meta.parent.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_bytes(configuration)
    with mock.patch.dict(os.environ, {"DOCKER_CONFIG": str(folder), "HOME": str(folder)}):
        for content in (written(CONTEXT), context):
            meta.write_bytes(content)
            with contextlib.suppress(EngineError):
                assert endpoint_of({"DOCKER_CONFIG": str(folder)}).address
        with contextlib.suppress(RegistryError):
            credentials_of("r.example.org")
    for place in _plugin_folders({"DOCKER_CONFIG": str(folder)}):
        assert isinstance(place, Path)


PROGRESS = (
    "#1 [internal] load build definition\n#2 [deps 1/3] RUN --mount=type=cache pip install x\n"
    "#2 0.512 Collecting x\n#2 ERROR: process did not complete\nERROR: failed to solve: exit 1\n"
)


@given(damaged(PROGRESS.encode()), damaged(PROGRESS.encode()))
def test_the_progress_of_a_build(one: bytes, other: bytes) -> None:
    from rocm_images.engine.buildx import PlainProgress

    progress = PlainProgress()
    for line in (one + other).decode(errors="replace").splitlines():
        progress.feed(line)
    assert len(progress.step) <= 100
    report = CellReport.of(CELL, Result.DONE).failed(
        Result.BUILD_FAILED, detail=progress.error, tail=progress.tail(), log=Path("log")
    )
    assert failures([report])


@given(
    odd(SAID),
    odd({"rocm-serving-images.inputs": "{}", "a": "b"}),
    odd({"base": "1", "dockerfile": "2"}),
)
def test_what_an_image_says_of_itself_is_compared(syft: Any, labels: Any, inputs: Any) -> None:
    from rocm_images.comparing.difference import difference
    from rocm_images.comparing.text import as_text
    from rocm_images.comparing.text import release_notes as notes
    from rocm_images.engine.images import INPUTS

    # An engine has texts alone for labels; what a text says is anybody's.
    said = labels if isinstance(labels, dict) else {}
    texts = {str(name): value for name, value in said.items() if isinstance(value, str)}
    old = ImageFacts.of_published(entry(CELL))
    try:
        packages = Bill.of_document(normalised(syft, "sha256:0", {})).versions
    except ValueError:
        packages = {"dpkg": {}, "pip": {"a": "1"}}
    new = replace(
        old,
        packages=packages,
        labels={**texts, INPUTS: written(inputs).decode()},
        env={"A": "\x1b[2J"},
    )
    before = replace(old, labels={INPUTS: "{}"}, packages={"dpkg": {}, "pip": {}})
    assert as_text(difference(before, new))
    assert not ACTS.search(notes("t", {"c": before}, {"c": new}))
