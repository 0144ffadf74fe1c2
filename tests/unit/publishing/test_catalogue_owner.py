"""Who owns one repository, and no key, gets nothing of another one recommended or signed there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from two_servers import SECOND, with_second_server

from made_up_catalogue import FIRST, PLACE, entry
from made_up_catalogue import SECOND as LATER
from rocm_images.catalogue import file, verbs
from rocm_images.catalogue.merge import merged
from rocm_images.catalogue.schema import Catalogue
from rocm_images.catalogue.signed import KIND, SIGNATURE_KIND, Signed, verified_in
from rocm_images.errors import VerificationFailed
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import Cell
from rocm_images.publishing.catalogued import Keeper
from rocm_images.registry.manifest import Manifest
from rocm_images.registry.trust import Signer, Trust

OURS = Trust(key="cosign.pub")
OTHER_NAME = f"{SECOND}-rocm"


class Cosign:
    """The publisher's one key, which signed every catalogue of his repositories."""

    def verify_file(self, _: Path, signature: bytes, __: Trust) -> bool:
        return signature == b"publisher"

    def sign_file(self, _: Path, __: Signer) -> str:
        return "publisher"


class Repo:
    """A repository whose owner puts into it what he likes; it has every image that is asked for."""

    def __init__(self, name: str, has: Catalogue | None = None, place: str = PLACE) -> None:
        self.name, self.place = name, place
        self.blobs: dict[str, bytes] = {}
        self.has: Signed | None = None
        if has:
            self.put(has)
        self.repository, self.cosign = self, Cosign()

    def put(self, what: Catalogue) -> None:
        self.has = Signed(file.text_of(what).encode(), b"publisher")

    def __str__(self) -> str:
        return f"{self.place}/{self.name}"

    def reference(self, tag: str) -> str:
        return f"{self}:{tag}"

    def manifest(self, tag: str) -> object | None:
        if tag != "catalogue":
            return self
        kinds = (KIND, SIGNATURE_KIND)
        layers = [{"mediaType": kind, "digest": kind} for kind in kinds]
        return SimpleNamespace(document={"layers": layers}) if self.has else None

    def blob(self, digest: str) -> bytes:
        assert self.has is not None
        return self.has.content if digest == KIND else self.has.signature

    def digest_of(self, _: str) -> None:
        return None

    def put_blob(self, digest: str, content: bytes) -> None:
        self.blobs[digest] = content

    def put_tag(self, _: str, manifest: Manifest) -> None:
        content, signature = (self.blobs[one["digest"]] for one in manifest.document["layers"])
        self.has = Signed(content, signature)


class World:
    """The publisher's lists of two servers: the first's of today and, of old, one more base."""

    def __init__(self, matrix: Matrix) -> None:
        _, cells = with_second_server(matrix)
        self.first = [cell for cell in cells if cell.repository == "sglang-rocm"]
        self.second = [cell for cell in cells if cell.repository == OTHER_NAME]
        self.now = merged(None, [entry(self.first[0], build="2")], LATER)
        self.old = merged(None, [entry(cell) for cell in self.first], FIRST)
        self.theirs = merged(None, [entry(self.second[0])], FIRST)

    def fetch(self, there: Mapping[str, Repo], folder: Path) -> Catalogue:
        verbs._fetch(cast("Any", there), OURS, folder)
        return file.read(folder / "catalogue.json")

    def keeper(self, there: Repo, *, mend: bool = False) -> Keeper:
        signer = Signer("cosign.key")
        return Keeper(
            cast("Any", there), cast("Any", there.cosign), OURS, signer, SECOND, mend=mend
        )


@pytest.fixture
def world(project_matrix: Matrix) -> World:
    return World(project_matrix)


def only_history(cells: list[Cell]) -> Catalogue:
    whole = merged(None, [entry(cell) for cell in cells], FIRST)
    return whole.model_copy(update={"images": (), "history": whole.images})


def test_old_images_of_the_other_server_do_not_come_into_the_list_of_all(
    world: World, tmp_path: Path
) -> None:
    first, second = Repo("sglang-rocm", world.now), Repo(OTHER_NAME, world.theirs)
    there = {"sglang": first, SECOND: second}
    found = world.fetch(there, tmp_path)
    assert len(found.images) == 2
    for put in (world.old, only_history(world.first)):
        second.put(put)
        with pytest.raises(VerificationFailed, match=r"that of \S+/sglang-rocm: somebody put"):
            world.fetch(there, tmp_path)
        # What was there before is what `pick` goes by.
        assert file.read(tmp_path / "catalogue.json") == found


def test_images_of_another_server_under_the_repositorys_own_name_are_refused(
    world: World, tmp_path: Path
) -> None:
    """As a list would be that was signed before entries were asked what they are about."""
    renamed = [
        image.model_copy(update={"repository": f"{PLACE}/{OTHER_NAME}"})
        for image in world.old.images
    ]
    there = Repo(OTHER_NAME, merged(None, renamed, FIRST))
    with pytest.raises(VerificationFailed, match="that of images of sglang"):
        world.fetch({SECOND: there}, tmp_path)
    with pytest.raises(VerificationFailed, match="that of images of sglang"):
        world.keeper(there).check()


def test_a_mirror_keeps_the_name_and_so_the_list(world: World, tmp_path: Path) -> None:
    there = Repo(OTHER_NAME, world.theirs, "mirror.example.org/a/b")
    found = world.fetch({SECOND: there}, tmp_path)
    assert [image.repository for image in found.images] == [str(there)]
    # A name that only ends alike is another one.
    with pytest.raises(VerificationFailed):
        verified_in(
            cast("Any", Repo("lang-rocm", world.now)), cast("Any", there.cosign), OURS, None
        )


@pytest.mark.parametrize("mend", [False, True])
def test_nothing_of_another_repository_is_signed_for_this_one(world: World, *, mend: bool) -> None:
    """Put there after the check, as before it: with several servers much lies between."""
    there = Repo(OTHER_NAME, world.theirs)
    keeper = world.keeper(there, mend=mend)
    assert keeper.check() is not None
    there.put(world.old)
    put = there.has
    new = entry(world.second[1])
    if not mend:
        with pytest.raises(VerificationFailed, match="somebody put"):
            keeper.record([new])
        assert there.has == put
        return
    assert keeper.check() is None
    said = file.parse(keeper.record([new]).content, "it")
    assert [image.digest for image in (*said.images, *said.history)] == [new.digest]


def test_the_list_of_a_mirror_that_came_after_the_check_is_judged_as_before_it(
    world: World,
) -> None:
    there = Repo(OTHER_NAME, world.theirs)
    elsewhere = world.theirs.images[0].model_copy(
        update={"repository": f"mirror.example.org/{OTHER_NAME}"}
    )
    new = entry(world.second[1])
    assert world.keeper(there).check() is not None
    there.put(merged(None, [elsewhere], FIRST))
    with pytest.raises(VerificationFailed, match="`publish --mend-catalogue` goes on"):
        world.keeper(there).record([new])
    said = file.parse(world.keeper(there, mend=True).record([new]).content, "it")
    assert {image.repository for image in said.images} == {str(there)}
    assert {image.digest for image in said.images} == {elsewhere.digest, new.digest}
