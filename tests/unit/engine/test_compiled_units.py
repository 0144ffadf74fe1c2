"""Whatever fails while units are moved is said in a sentence, and leaves no gigabytes behind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from made_up_engine import MadeUpEngine, made_up_engine
from rocm_images.engine import compiled_units
from rocm_images.engine.buildx import BuildRequest, Buildx
from rocm_images.engine.compiled_units import UnitBuilds
from rocm_images.errors import BuildFailed, EngineError

REFERENCE = "r.example.org/cache:a-units"
BUILDX = """\
#!/bin/sh
for word; do
    case "$word" in
    --metadata-file=*) echo '{"containerimage.digest": "sha256:1"}' > "${word#*=}" ;;
    esac
done
exit CODE
"""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[MadeUpEngine]:
    with made_up_engine(tmp_path / "engine.sock") as found:
        found.answers["DELETE /images/.*units"] = lambda _: (200, [])
        yield found


def builds(engine: MadeUpEngine, folder: Path, code: int = 0) -> UnitBuilds:
    program = folder / "buildx"
    program.write_text(BUILDX.replace("CODE", str(code)))
    program.chmod(0o755)
    found = Buildx((str(program),), {"PATH": "/usr/bin:/bin"}, True, engine.engine.patience)
    request = BuildRequest(folder / "Dockerfile", folder, (), {}, {}, folder / "a.log")
    return UnitBuilds(engine.engine, found, request, lambda _: None)


def test_the_image_of_units_is_removed_where_its_push_was_refused_too(
    engine: MadeUpEngine, tmp_path: Path
) -> None:
    assert builds(engine, tmp_path).keep(REFERENCE) == "sha256:1"
    with pytest.raises(BuildFailed, match="buildx ended with 1"):
        builds(engine, tmp_path, code=1).keep(REFERENCE)
    deleted = [asked for asked in engine.asked if asked.startswith("DELETE ")]
    assert len(deleted) == 2


@pytest.mark.parametrize("answer", [(500, {"message": "no"}), None])
def test_an_engine_that_fails_meanwhile_is_said(
    engine: MadeUpEngine, tmp_path: Path, answer: tuple[int, object] | None
) -> None:
    engine.answers["DELETE /images/.*units"] = lambda _: answer
    with pytest.raises(EngineError, match="the engine failed: "):
        builds(engine, tmp_path).keep(REFERENCE)


def test_a_system_that_refuses_is_said(
    engine: MadeUpEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = builds(engine, tmp_path)
    absent = replace(usual, buildx=replace(usual.buildx, command=("/proc/absent/buildx",)))
    for move in (absent.take, absent.keep):
        with pytest.raises(BuildFailed, match="/proc/absent/buildx: No such file or directory"):
            move(REFERENCE)
    monkeypatch.setattr(compiled_units.tempfile, "tempdir", "/proc/absent")
    with pytest.raises(BuildFailed, match=r"/proc/absent/.*: No such file or directory"):
        usual.keep(REFERENCE)
