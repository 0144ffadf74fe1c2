"""Whose a catalogue is: one key signs those of several repositories, and each is about its own.

A mirror has the repository's own name, at another registry or below another path; so what was
signed for the repository of another server is told from what was signed for this one. The end of a
name does not tell a mirror's catalogue from one that somebody put there: staging and production
have the same. So whoever goes by it to write or delete compares the whole name.
"""

from __future__ import annotations

from rocm_images.catalogue.schema import Catalogue
from rocm_images.errors import VerificationFailed


def check_owner(name: str, catalogue: Catalogue, where: str, server: str | None = None) -> None:
    """Refuses a catalogue that its publisher signed for another repository.

    Args:
        name: of the repository that it is asked for, without the registry and the path there.
        catalogue: verified.
        where: what the sentence calls it.
        server: whose images the repository has; None where nobody said.

    Raises:
        VerificationFailed: an entry, be it of the history, is of a repository with another name,
            or of another server.
    """
    for entry in (*catalogue.images, *catalogue.history):
        other = entry.repository
        if f"/{other}".endswith(f"/{name}"):
            if server in (None, entry.server):
                continue
            other = f"images of {entry.server}"
        raise VerificationFailed(
            f"{where} is that of {other}: somebody put a catalogue of another repository here; "
            "do not use it"
        )


def other_repository(catalogue: Catalogue, owner: str) -> str | None:
    """A repository that a catalogue has entries of beside `owner`, a whole name; None without."""
    entries = (*catalogue.images, *catalogue.history)
    return min((one.repository for one in entries if one.repository != owner), default=None)
