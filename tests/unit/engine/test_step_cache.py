"""A build takes the steps that are signed, by their digest, and keeps its own where it can sign."""

from __future__ import annotations

import pytest

from made_up_registry import Image
from rocm_images.build.step_cache import StepCache, checked
from rocm_images.errors import InputError, RegistryError, VerificationFailed
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import cells_of
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
    assert caches["sglang-942-rocm7.2.0"].arguments == (own, own)
    assert capsys.readouterr().err == ""


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
