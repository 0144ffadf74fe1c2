"""A build takes the steps that are signed, by their digest, and keeps its own where it can sign."""

from __future__ import annotations

import dataclasses

import pytest

from made_up_registry import Image
from rocm_images.build import step_cache
from rocm_images.build.step_cache import StepCache, checked, keep_units, take_units
from rocm_images.engine.build_cache import BuildCache
from rocm_images.errors import BuildFailed, InputError, RegistryError, VerificationFailed
from rocm_images.matrix.schema import Layers, Matrix
from rocm_images.plan.cells import Cell, cells_of
from rocm_images.registry.manifest import Manifest
from rocm_images.registry.trust import Signer, Trust

REPOSITORY = "r.example.org:5000/team/cache"
OURS, FOREIGN = Manifest(Image({"a": "ours"}).top), Manifest(Image({"a": "foreign"}).top)
TRUST = Trust(key="cosign.pub")


class There:
    """A registry's repository with a cache of some cells; others it fails to give."""

    def __init__(self, **tags: Manifest | None) -> None:
        self.tags = {
            name.replace("_", "-").replace("rocm72", "rocm7.2."): m for name, m in tags.items()
        }

    def reference(self, name: str) -> str:
        return f"{REPOSITORY}{'@' if ':' in name else ':'}{name}"

    def manifest(self, tag: str) -> Manifest | None:
        if tag in self.tags and self.tags[tag] is None:
            raise RegistryError(f"{tag} cannot be read")
        return self.tags.get(tag)


class Signs:
    """A stand-in for cosign, to which only OURS is signed."""

    def __init__(self) -> None:
        self.signed: list[str] = []

    def verify(self, image: str, _: Trust) -> None:
        if not image.endswith(OURS.digest):
            raise VerificationFailed(f"{image} has no signature")

    def sign(self, image: str, _: Signer) -> None:
        self.signed.append(image)


def cache(there: There, signer: Signer | None = None) -> StepCache:
    return StepCache(there, Signs(), TRUST, signer)  # type: ignore[arg-type]


def test_a_cell_takes_signed_steps_of_its_own_and_of_its_base(
    small_matrix: Matrix, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = cells_of(small_matrix)
    there = There(sglang_942_rocm720=OURS, sglang_950_rocm720=OURS, sglang_942_rocm722=OURS)
    caches = cache(there).caches(cells[:2], cells)
    own = f"--cache-from=type=registry,ref={REPOSITORY}@{OURS.digest}"
    assert caches["sglang-942-rocm7.2.0"].arguments(None) == (own, own)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("compression", "words"),
    [("zstd:3", "compression=zstd,compression-level=3"), ("gzip", "compression=gzip")],
)
def test_steps_are_kept_compressed_as_the_image_is(compression: str, words: str) -> None:
    (kept,) = BuildCache(to=f"{REPOSITORY}:a").arguments(Layers(compression=compression))
    assert kept == (
        f"--cache-to=type=registry,ref={REPOSITORY}:a,mode=max,image-manifest=true,"
        f"ignore-error=true,{words}"
    )


@pytest.mark.parametrize("bad", [FOREIGN, None])
def test_what_is_not_signed_or_cannot_be_read_is_not_taken(
    small_matrix: Matrix, capsys: pytest.CaptureFixture[str], bad: Manifest | None
) -> None:
    cells = cells_of(small_matrix)
    there = There(sglang_942_rocm720=bad, sglang_950_rocm720=OURS)
    (cell,) = [one for one in cells if one.name == "sglang-942-rocm7.2.0"]
    taken = cache(there).caches([cell], cells)[cell.name]
    assert taken.sources == [f"{REPOSITORY}@{OURS.digest}"]
    assert "the build cache of sglang-942-rocm7.2.0 is not used" in capsys.readouterr().err


def test_only_who_signs_keeps_steps_each_cell_under_its_own_tag(small_matrix: Matrix) -> None:
    cells = cells_of(small_matrix)
    assert {one.to for one in cache(There()).caches(cells, cells).values()} == {None}
    kept = cache(There(), Signer("key"))
    assert {one.to for one in kept.caches(cells, cells).values()} == {
        f"{REPOSITORY}:{cell.name}" for cell in cells
    }
    kept.sign(cells[0].name, OURS.digest)
    assert kept.cosign.signed == [f"{REPOSITORY}@{OURS.digest}"]  # type: ignore[attr-defined]


def test_a_cache_that_cannot_be_signed_fails_no_build(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise RegistryError("no")

    kept = cache(There(), Signer("key"))
    monkeypatch.setattr(kept.cosign, "sign", refuse)
    kept.sign("a-cell", OURS.digest)
    assert "the build cache of a-cell stays unsigned" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["cache", "r.example.org", "r/x:tag", "r/UPPER", "r/x,mode=min"])
def test_what_is_no_repository_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is no repository"):
        checked(text)


class Builds:
    """A stand-in for the builds that move units."""

    def __init__(self, fails: bool = False) -> None:
        self.taken: list[str] = []
        self.kept: list[str] = []
        self.fails = fails

    def take(self, reference: str) -> None:
        if self.fails:
            raise BuildFailed("the disk is full")
        self.taken.append(reference)

    def keep(self, reference: str) -> str:
        if self.fails:
            raise BuildFailed("the registry is full")
        self.kept.append(reference)
        return OURS.digest


@pytest.fixture
def compiling(small_matrix: Matrix) -> list[Cell]:
    """The cells of a matrix whose compiles go through ccache."""
    pin = next(iter(cells_of(small_matrix)[0].downloads.values()))
    return [
        dataclasses.replace(cell, downloads={**cell.downloads, "ccache": pin})
        for cell in cells_of(small_matrix)
    ]


def test_signed_units_are_taken_by_their_digest_and_new_ones_kept_and_signed(
    compiling: list[Cell],
) -> None:
    there = There(sglang_942_rocm720_units=OURS, sglang_950_rocm720_units=FOREIGN)
    kept = cache(there, Signer("key"))
    caches = kept.caches(compiling, compiling)
    name, builds = "sglang-942-rocm7.2.0", Builds()
    take_units(builds, caches[name], name)  # type: ignore[arg-type]
    assert builds.taken == [f"{REPOSITORY}@{OURS.digest}"]
    # What is not signed is not, and those of another cell are not.
    assert {caches[f"sglang-{other}"].units for other in ("950-rocm7.2.0", "942-rocm7.2.2")} == {
        None
    }
    keep_units(builds, caches[name], name, kept.sign)  # type: ignore[arg-type]
    assert builds.kept == [f"{REPOSITORY}:{name}-units"]
    assert kept.cosign.signed == [f"{REPOSITORY}@{OURS.digest}"]  # type: ignore[attr-defined]


def test_who_cannot_sign_keeps_no_units_and_a_recipe_without_ccache_has_none(
    compiling: list[Cell], small_matrix: Matrix
) -> None:
    unsigned = cache(There()).caches(compiling, compiling).values()
    cells = cells_of(small_matrix)
    there = There(sglang_942_rocm720_units=OURS)
    without = cache(there, Signer("key")).caches(cells, cells).values()
    assert {(one.units, one.units_to) for one in (*unsigned, *without)} == {(None, None)}


def test_who_wants_no_units_asks_for_none_and_keeps_none(compiling: list[Cell]) -> None:
    there = There(sglang_942_rocm720=OURS, sglang_942_rocm720_units=None)
    kept = dataclasses.replace(cache(there, Signer("key")), units=False)
    found = kept.caches(compiling[:1], compiling)["sglang-942-rocm7.2.0"]
    assert (found.units, found.units_to) == (None, None)
    assert (found.sources, found.to) == (
        [f"{REPOSITORY}@{OURS.digest}"],
        f"{REPOSITORY}:sglang-942-rocm7.2.0",
    )


def test_a_cell_of_which_something_is_replaced_takes_units_and_keeps_none(
    compiling: list[Cell],
) -> None:
    there = There(sglang_942_rocm720_units=OURS)
    name = "sglang-942-rocm7.2.0"
    found = cache(there, Signer("key")).caches(compiling, compiling, {name})
    assert (found[name].units, found[name].units_to) == (f"{REPOSITORY}@{OURS.digest}", None)
    assert {one for one, kept in found.items() if not kept.units_to} == {name}


def test_more_units_than_a_build_keeps_are_not_taken(
    compiling: list[Cell], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_cache, "LARGEST_UNITS", 1)
    there = There(sglang_942_rocm720_units=OURS, sglang_942_rocm720=OURS)
    found = cache(there).caches(compiling[:1], compiling[:1])["sglang-942-rocm7.2.0"]
    assert found.units is None
    assert found.sources == [f"{REPOSITORY}@{OURS.digest}"]
    assert "the build cache of sglang-942-rocm7.2.0-units is not used" in capsys.readouterr().err


def test_units_that_cannot_be_taken_or_kept_fail_no_build(
    capsys: pytest.CaptureFixture[str],
) -> None:
    both = BuildCache(units=f"{REPOSITORY}@{OURS.digest}", units_to=f"{REPOSITORY}:a-units")
    signed: list[str] = []
    take_units(Builds(fails=True), both, "a")  # type: ignore[arg-type]
    keep_units(Builds(fails=True), both, "a", lambda *names: signed.extend(names))  # type: ignore[arg-type]
    said = capsys.readouterr().err
    assert "the compiled units of a are not used: the disk is full" in said
    assert "the compiled units of a are not kept: the registry is full" in said
    assert signed == []
