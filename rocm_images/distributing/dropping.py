"""Drops from a repository what prune.py found that nothing names.

An image goes before its signatures, as one without them is worse than signatures without one, and
the catalogue loses it last: whatever fails between, running it again goes on. A registry has no
lock, so before each deletion it is asked whether somebody has taken to what is to go.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from rocm_images.catalogue.signed import signed_in
from rocm_images.distributing.prunable import Drop, may_go, parts_of, subject_of
from rocm_images.distributing.prune import AT_ONCE, Pruning
from rocm_images.errors import InputError, RegistryError, RegistryUnanswered, RocmImagesError
from rocm_images.pool import Threads
from rocm_images.publishing.catalogued import Keeper
from rocm_images.registry.verified import is_immutable
from rocm_images.telling import counted


def drop_all(
    what: Pruning,
    keeper: Keeper | None,
    say: Callable[[str], None],
    *,
    with_orphans: bool = False,
) -> int:
    """Drop what may be; returns how many images went.

    Args:
        what: of one repository.
        keeper: who signs its catalogue; None where it has that of another one, as a mirror.
        say: is told of each image that went.
        with_orphans: also signatures and statements about images that are not there.

    Raises:
        InputError: the catalogue has to lose something, and nobody can sign it.
        RegistryError: the registry failed or allows no deletion, or somebody else publishes there;
            the sentence says what went.
    """
    if what.forgets and keeper is None:
        raise InputError(
            f"the catalogue of {what.repository} has to lose "
            f"{counted(len(what.forgets), 'replaced image')}: say who signs it (--sign-key or "
            "--keyless), or leave out --keep-history"
        )
    gone: list[Drop] = []
    try:
        for one in what.drop:
            done = "dropped" if _drop(what, one) else "gone already"
            gone.append(one)
            say(f"{done} {what.repository}: {', '.join(one.tags)}")
        about = [tag for digest in what.lost for tag in what.tags.attached_to(digest)]
        _drop_orphans(what, [*about, *(what.orphans if with_orphans else ())], say)
    except RocmImagesError as error:
        done = f"dropped: {len(gone)} of {counted(len(what.drop), 'image')}"
        # Of a registry that does not answer the command line says so.
        if not isinstance(error, RegistryUnanswered):
            done += "; run it again to go on"
        try:
            _forget(what, keeper, gone)
        except RocmImagesError as other:
            done = f"{done} (the catalogue still lists them: {other})"
        error.args = (f"{error}; {done}",)
        raise
    _forget(what, keeper, gone)
    return len(gone)


def _forget(what: Pruning, keeper: Keeper | None, gone: Sequence[Drop]) -> None:
    # What was lost when it was looked for may have been pushed again since.
    lost = (digest for digest in what.lost if what.repository.manifest(digest) is None)
    forgotten = what.forgets & {*(one.digest for one in gone), *lost}
    if keeper and forgotten:
        keeper.forget(forgotten)


def _drop(what: Pruning, one: Drop) -> bool:
    """Delete an image, and then what is attached to it; False where it was gone already.

    Raises:
        RegistryError: the registry failed, or the catalogue is no longer the one that was read, or
            somebody has taken to the image.
    """
    # In this order: who publishes moves the tags, and writes the catalogue then.
    if signed_in(what.repository) != what.listed:
        raise RegistryError(
            f"{what.repository}: its catalogue changed meanwhile: somebody else publishes; let one "
            "of you do so at a time"
        )
    _check_unused(what, one.digest, [*one.tags, *one.attached])
    there = what.repository.delete(one.digest)
    _delete_tags(what, one.attached)
    return there


def _drop_orphans(what: Pruning, going: Sequence[str], say: Callable[[str], None]) -> None:
    """Delete what tags of cosign's stand for, where the image that they are about is not there.

    Raises:
        RegistryError: the registry failed, or somebody has taken to one of them.
    """
    for subject in dict.fromkeys(map(subject_of, going)):
        assert subject is not None
        own = [tag for tag in going if subject_of(tag) == subject]
        if what.repository.manifest(subject) is not None:
            say(f"note: {what.repository.reference(subject)} is there by now: its signatures stay")
            continue
        _check_unused(what, subject, own)
        _delete_tags(what, own)


def _delete_tags(what: Pruning, going: Sequence[str]) -> None:
    """Delete what tags of cosign's stand for, unless something else stands for it, too."""
    digests = dict.fromkeys(what.tags.manifests[tag].digest for tag in going)
    for digest in digests:
        if may_go(digest, going, what.tags, what.stay):
            what.repository.delete(digest)


def _check_unused(what: Pruning, image: str, going: Collection[str]) -> None:
    """Refuse to go on where somebody has given an image, or what is attached to it, another tag.

    Of the tags that were there only those are asked for again that publishers move, and those of
    what is attached to the image: there may be thousands of others.

    Raises:
        RegistryError: somebody has, or has signed it anew, or the registry failed.
    """
    known = what.tags.manifests
    digests = {image, *(known[tag].digest for tag in going)}
    asked = [
        tag
        for tag in what.repository.list_tags() or ()
        if tag not in known
        or subject_of(tag) == image
        or not (is_immutable(tag) or subject_of(tag))
    ]
    with Threads(AT_ONCE) as pool:
        found = zip(asked, pool.map(what.repository.manifest, asked), strict=True)
        now = {tag: manifest for tag, manifest in found if manifest is not None}
    for tag, manifest in now.items():
        if tag in known and known[tag].digest == manifest.digest:
            continue
        stands = not digests.isdisjoint({manifest.digest, *parts_of(manifest)})
        if stands or subject_of(tag) == image:
            raise RegistryError(
                f"{what.repository.reference(tag)} is of {image} by now, which was to go: somebody "
                "else publishes; let one of you do so at a time"
            )
