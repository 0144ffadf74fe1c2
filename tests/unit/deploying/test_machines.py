"""`pick --auto` finds the image for machines as the field has them; each is a made-up folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from click.testing import CliRunner, Result

import topologies
from made_up_catalogue import SECOND, catalogue, digest
from rocm_images.catalogue.file import write
from rocm_images.catalogue.merge import merged
from rocm_images.cli.main import main
from rocm_images.engine.connect import Engine
from rocm_images.engine.machine import devices, devices_in_words
from rocm_images.errors import NoImageFits
from rocm_images.matrix.schema import Matrix
from rocm_images.recipe import labels
from rocm_images.servers import DEFAULT
from rocm_images.smoke import run
from rocm_images.smoke.evidence import Level
from topologies import (
    AZURE,
    GFX1036,
    GFX1103,
    MI300A,
    MI300X,
    MI300X_VF,
    MI308X,
    MI325X,
    MI350X,
    MI355X,
    Gpu,
    several,
)

MACHINES: dict[str, tuple[Sequence[Gpu], str, str]] = {
    "MI300X": (several(MI300X), "gfx942", "8 x gfx942 (AMD Instinct MI300X)"),
    "CPX": (
        several(MI300X, partitions=8, memory="NPS4"),
        "gfx942",
        "8 x gfx942 (AMD Instinct MI300X) in 8 partitions each: 64 devices",
    ),
    "DPX": (
        several(MI300X, partitions=2),
        "gfx942",
        "8 x gfx942 (AMD Instinct MI300X) in 2 partitions each: 16 devices",
    ),
    "CPX of MI355X": (
        several(MI355X, partitions=8),
        "gfx950",
        "8 x gfx950 (AMD Instinct MI355X) in 8 partitions each: 64 devices",
    ),
    "SR-IOV": (several(MI300X_VF), "gfx942", "8 x gfx942 (AMD Instinct MI300X VF)"),
    "SR-IOV on Azure": (AZURE, "gfx942", "4 x gfx942 (AMD Instinct MI300X VF)"),
    "MI300A": (several(MI300A, 4), "gfx942", "4 x gfx942 (AMD Instinct MI300A)"),
    "TPX of MI300A": (
        several(MI300A, 4, partitions=3),
        "gfx942",
        "4 x gfx942 (AMD Instinct MI300A) in 3 partitions each: 12 devices",
    ),
    "CPX of MI308X": (
        several(MI308X, partitions=4),
        "gfx942",
        "8 x gfx942 (AMD Instinct MI308X) in 4 partitions each: 32 devices",
    ),
    "MI325X": (several(MI325X), "gfx942", "8 x gfx942 (AMD Instinct MI325X)"),
    "MI350X": (several(MI350X), "gfx950", "8 x gfx950 (AMD Instinct MI350X)"),
    "CPX of a GPU that is not known": (
        several(MI350X, 2, device_id=30119, partitions=8),
        "gfx950",
        "2 x gfx950 in 8 partitions each: 16 devices",
    ),
}


@pytest.mark.parametrize(("gpus", "gfx", "words"), MACHINES.values(), ids=MACHINES.keys())
def test_gpus_are_counted_and_called_by_their_names(
    tmp_path: Path, gpus: Sequence[Gpu], gfx: str, words: str
) -> None:
    found = devices(topologies.write(tmp_path, gpus))
    assert {device.gfx for device in found} == {gfx}
    assert devices_in_words(found) == words


def test_newer_drivers_number_partitions_in_the_highest_bits(tmp_path: Path) -> None:
    topologies.write(tmp_path, several(MI300X, 2, partitions=8))
    for number in range(16):
        path = tmp_path / topologies.NODES / f"{number + 2}/properties"
        slot = topologies.SLOTS[number // 8]
        place = slot | (number % 8) << 28
        path.write_text(
            path.read_text().replace(f"location_id {slot + number % 8}\n", f"location_id {place}\n")
        )
    assert devices_in_words(devices(tmp_path)).startswith("2 x gfx942")


@pytest.fixture
def pick(project_matrix: Matrix, tmp_path: Path) -> Pick:
    return Pick(project_matrix, tmp_path)


class Pick:
    """Runs `pick --auto` on a machine."""

    def __init__(self, matrix: Matrix, folder: Path) -> None:
        self.known = catalogue(matrix)
        self.folder = folder
        write(folder / "catalogue.json", self.known)

    def __call__(self, gpus: Sequence[Gpu]) -> Result:
        root = topologies.write(self.folder / "root", gpus)
        words = ["pick", "--auto", "--catalogue", str(self.folder / "catalogue.json")]
        return CliRunner().invoke(main, [*words, "--unverified", "--root", str(root)])

    def recommended(self, gfx: str) -> str:
        images = (i for i in self.known.images if i.server == DEFAULT.name)
        (image,) = (i for i in images if i.gfx == gfx and i.recommended)
        return f"{image.reference}\n"


@pytest.mark.parametrize(("gpus", "gfx", "words"), MACHINES.values(), ids=MACHINES.keys())
def test_each_machine_gets_the_image_of_its_gfx(
    pick: Pick, gpus: Sequence[Gpu], gfx: str, words: str
) -> None:
    done = pick(gpus)
    assert done.stdout == pick.recommended(gfx)
    # Whoever sees more devices than there are GPUs is told why.
    assert ("partitions" in words) == (f"this machine has {words}." in done.stderr)
    other_name = "MI300A" in words or "MI308X" in words
    assert other_name == ("is gfx942 as well: the image was made with" in done.stderr)


@pytest.mark.parametrize("integrated", [GFX1036, GFX1103])
@pytest.mark.parametrize("first", [True, False])
def test_an_integrated_gpu_beside_an_instinct_is_ignored_with_a_note(
    pick: Pick, integrated: Gpu, first: bool
) -> None:
    instinct = several(MI300X, 2)
    done = pick([integrated, *instinct] if first else [*instinct, integrated])
    assert done.stdout == pick.recommended("gfx942")
    gfx = "gfx1036" if integrated is GFX1036 else "gfx1103"
    assert f"left out of account: 1 x {gfx} (integrated in the CPU), for which" in done.stderr
    nodes = (129, 130) if first else (128, 129)
    theirs = " ".join(f"--device /dev/dri/renderD{minor}" for minor in nodes)
    assert f"{theirs} in place of --device /dev/dri." in done.stderr


def test_the_release_is_picked_though_a_candidate_is_newer(pick: Pick, tmp_path: Path) -> None:
    """Tags as a catalogue has them after a release candidate."""
    images = [
        image.model_copy(
            update={"version": version, "channel": "stable", "digest": digest(image.cell + version)}
        )
        for image in pick.known.images
        for version in ("0.5.21", "0.5.21.post1", "0.5.22rc0")
    ]
    path = tmp_path / "catalogue.json"
    write(path, merged(None, images, SECOND))
    for more, version in (([], "0.5.21.post1"), (["--pre"], "0.5.22rc0")):
        words = ["pick", "--arch", "942", "--catalogue", str(path), "--unverified", *more]
        done = CliRunner().invoke(main, words)
        (chosen,) = (image for image in images if f"{image.reference}\n" == done.stdout)
        assert (chosen.version, chosen.recommended) == (version, True)
        assert bool(more) == ("0.5.22rc0 is a pre-release of SGLang" in done.stderr)


def test_several_kinds_with_images_are_still_the_users_choice(pick: Pick) -> None:
    done = pick([*several(MI300X, 2), *several(MI350X, 3), GFX1036])
    assert isinstance(done.exception, NoImageFits)
    assert "GPUs of several kinds, 2 of gfx942 and 3 of gfx950" in str(done.exception)


def test_what_no_image_is_for_is_named(pick: Pick) -> None:
    done = pick([GFX1036])
    assert isinstance(done.exception, NoImageFits)
    assert "this machine's GPU is gfx1036 (integrated in the CPU), and the" in str(done.exception)
    assert "it has images for gfx942 (AMD Instinct MI300X" in str(done.exception)


@pytest.mark.parametrize(
    ("gpus", "level"),
    [
        (several(MI300X, 2), Level.GPU),
        (several(MI300X, 1, partitions=8), Level.GPU),
        ([GFX1036], Level.EMULATED),
        (several(MI350X, 2), Level.EMULATED),
        ([], Level.EMULATED),
    ],
)
def test_an_image_is_tested_on_gpus_of_its_own_gfx_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpus: Sequence[Gpu], level: Level
) -> None:
    root = topologies.write(tmp_path, gpus)
    monkeypatch.setattr(run, "devices", lambda _: devices(root))
    here, elsewhere = (
        cast(Engine, SimpleNamespace(address=address))
        for address in ("unix:///proc/absent/docker.sock", "tcp://10.0.0.1:2376")
    )
    assert run.device_for(here, {labels.GFX: "gfx942"}) is level
    assert run.device_for(elsewhere, {labels.GFX: "gfx942"}) is Level.EMULATED
