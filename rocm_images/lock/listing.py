"""Asks registries and git servers for their lists of tags, for what the matrix could take."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from rocm_images.errors import InputError, RegistryError
from rocm_images.foreign import shown_line
from rocm_images.lock.newer import (
    NewerBase,
    NewerRelease,
    News,
    forms_of,
    servers_of,
    tried_bases,
    tried_release,
)
from rocm_images.lock.upstream import QUESTIONS_AT_ONCE, Unresolved, Upstream
from rocm_images.masking import masked
from rocm_images.matrix.schema import Matrix
from rocm_images.pool import Threads
from rocm_images.references import ImageName
from rocm_images.telling import quoted

Asked = tuple[tuple[str, ...], str]
"""The tags, and why there are none."""


def news_of(matrix: Matrix, upstream: Upstream) -> News:
    """Newer bases and releases than the matrix has; a list that cannot be had is a sentence of it.

    Raises:
        Stopped: the run is being stopped.
    """
    forms, servers = forms_of(matrix), servers_of(matrix)
    repositories = dict.fromkeys(form.repository for form in forms)
    addresses = dict.fromkeys(source.git for source in servers.values())
    questions: dict[str, Callable[[str], tuple[str, ...]]] = {
        **dict.fromkeys(repositories, partial(_registry_tags, upstream)),
        **dict.fromkeys(addresses, upstream.tags_at),
    }

    def ask(name: str) -> Asked:
        try:
            return questions[name](name), ""
        except (Unresolved, RegistryError, InputError) as error:
            what = "newer bases" if name in repositories else "newer releases"
            reason = _reason_of(error).removeprefix(f"{name}: ")
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


def _reason_of(error: Exception) -> str:
    if not isinstance(error, Unresolved):
        # It quotes by itself, and ends with what helps.
        return masked(shown_line(str(error)))
    return masked(quoted(error.reason)) + (f": {error.advice}" if error.advice else "")


def _registry_tags(upstream: Upstream, repository: str) -> tuple[str, ...]:
    # What speaks with registries takes as long to import as everything else.
    from rocm_images.registry.base_layers import vendors_repository

    name = ImageName.parse(repository)
    assert name is not None
    found = vendors_repository(name, upstream.ca_bundle, upstream.attempts).list_tags()
    if found is None:
        raise Unresolved("its registry has no list of them")
    return found
