"""Asks registries and git servers for their lists of tags, for what the matrix could take."""

from __future__ import annotations

from collections.abc import Callable

from rocm_images.errors import InputError, RegistryError
from rocm_images.lock.newer import (
    NewerBase,
    NewerRelease,
    News,
    forms_of,
    servers_of,
    tried_bases,
    tried_release,
)
from rocm_images.lock.upstream import QUESTIONS_AT_ONCE, Unresolved, tags_at
from rocm_images.masking import masked
from rocm_images.matrix.schema import Matrix
from rocm_images.pool import Threads
from rocm_images.references import ImageName
from rocm_images.telling import quoted
from rocm_images.waiting import waiting_for

Asked = tuple[tuple[str, ...], str]
"""The tags, and why there are none."""


def news_of(matrix: Matrix) -> News:
    """Newer bases and releases than the matrix has; a list that cannot be had is a sentence of it.

    Raises:
        Stopped: the run is being stopped.
    """
    forms, servers = forms_of(matrix), servers_of(matrix)
    repositories = dict.fromkeys(form.repository for form in forms)
    addresses = dict.fromkeys(source.git for source in servers.values())
    questions: dict[str, Callable[[str], tuple[str, ...]]] = {
        **dict.fromkeys(repositories, _registry_tags),
        **dict.fromkeys(addresses, _git_tags),
    }

    def ask(name: str) -> Asked:
        try:
            return questions[name](name), ""
        except (Unresolved, RegistryError, InputError) as error:
            what = "newer bases" if name in repositories else "newer releases"
            reason = masked(quoted(str(error).removeprefix(f"{name}: ")))
            return (), f"{name}: its tags are not known, so {what} are not looked for: {reason}"

    with Threads(QUESTIONS_AT_ONCE) as pool:
        answers = dict(zip(questions, pool.map(ask, questions), strict=True))
    bases: list[NewerBase] = []
    for form, newest in forms.items():
        bases += tried_bases(matrix, form, newest, answers[form.repository][0])
    releases: list[NewerRelease] = []
    for server, source in servers.items():
        found = tried_release(matrix, server, source, answers[source.git][0])
        releases += [found] if found else []
    unasked = tuple(reason for _, reason in answers.values() if reason)
    return News(tuple(bases), tuple(releases), unasked)


def _registry_tags(repository: str) -> tuple[str, ...]:
    # What speaks with registries takes as long to import as everything else.
    from rocm_images.registry.base_layers import vendors_repository

    name = ImageName.parse(repository)
    assert name is not None
    found = vendors_repository(name).list_tags()
    if found is None:
        raise Unresolved("its registry has no list of them")
    return found


def _git_tags(address: str) -> tuple[str, ...]:
    with waiting_for(address):
        return tags_at(address)
