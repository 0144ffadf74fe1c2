"""The probe of any image ends with the container, whenever that ended, and tells what it said."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from made_up_engine import MadeUpEngine, Request, made_up_engine
from rocm_images.errors import ExitCode
from rocm_images.matrix.schema import Matrix
from rocm_images.smoke import any_image, emulator


def frame(stream: int, text: str) -> bytes:
    """As an engine sends what a container said: whence, how much, and the text."""
    return bytes([stream, 0, 0, 0]) + len(text.encode()).to_bytes(4, "big") + text.encode()


def logs(request: Request) -> None:
    out, err = ("stdout=1" in request.path, "stderr=1" in request.path)
    content = (frame(1, "the verdict, http://me:secret@host\n") if out else b"") + (
        frame(2, "a warning\n") if err else b""
    )
    request.send_response(200)
    request.send_header("Content-Length", str(len(content)))
    request.end_headers()
    request.wfile.write(content)


@contextmanager
def lent(_: object) -> Iterator[str]:
    yield "holder"


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MadeUpEngine]:
    """An engine whose container has ended as soon as it is started, so that nobody can attach."""
    monkeypatch.setattr(emulator, "provide", lambda engine: None)
    monkeypatch.setattr(emulator, "lent", lent)
    with made_up_engine(tmp_path / "engine.sock") as made:
        container = {"Id": "made", "Config": {"Tty": False}}
        made.answers |= {
            "GET /images/": lambda _: (200, {"Id": "sha256:1"}),
            "POST /containers/create": lambda _: (201, {"Id": "made"}),
            "GET /containers/made/json": lambda _: (200, container),
            "POST /containers/made/start": lambda _: (200, ""),
            "POST /containers/made/wait": lambda _: (200, {"StatusCode": 18}),
            "POST /containers/made/attach": made.withhold,
            "GET /containers/made/logs": logs,
            "DELETE /containers/": lambda _: (200, ""),
        }
        yield made


def probe(engine: MadeUpEngine, matrix: Matrix) -> ExitCode:
    return any_image.probe_image(
        engine.engine, "image:tag", ["capture"], matrix, gfx="gfx942", gpus=1
    )


def test_a_probe_that_has_ended_already_ends_here(
    engine: MadeUpEngine, small_matrix: Matrix, capsys: pytest.CaptureFixture[str]
) -> None:
    assert probe(engine, small_matrix) is ExitCode.SMOKE_FAILED
    out, err = capsys.readouterr()
    assert out == "the verdict, http://***@host\n"
    assert err.startswith("a warning\n")
    assert "graph-probe capture ended with 18" in err
    assert not [one for one in engine.asked if "attach" in one]
    assert [one for one in engine.asked if one.startswith("DELETE ")]


def test_of_a_probe_that_does_not_end_it_is_told_how_far_it_came(
    engine: MadeUpEngine,
    small_matrix: Matrix,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(any_image, "SECONDS", 0.5)
    engine.answers["POST /containers/made/wait"] = engine.withhold
    assert probe(engine, small_matrix) is ExitCode.SMOKE_FAILED
    out, err = capsys.readouterr()
    assert out == "the verdict, http://***@host\n"
    assert "graph-probe capture was stopped: it did not end within 0.5 s" in err
    assert [one for one in engine.asked if one.startswith("DELETE ")]
