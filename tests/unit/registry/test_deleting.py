"""A manifest is deleted, or the sentence says why it is not. The registry is made up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from made_up_registry import Answer, MadeUpRegistry, Request, digest
from rocm_images.errors import RegistryError
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.client import Repository
from rocm_images.registry.retries import Retries


@pytest.fixture
def registry() -> Iterator[MadeUpRegistry]:
    started = MadeUpRegistry()
    yield started
    started.close()


def repository(registry: MadeUpRegistry) -> Repository:
    address = RegistryAddress.parse(registry.address)
    return Repository(address, "a", retries=Retries(2, 0.01, 0.02))


def answers(registry: MadeUpRegistry, *statuses: int, deletes: bool = True) -> Answer:
    """Answers deletions with these, one after the other, and all else as registries do."""
    left = list(statuses)

    def answer(request: Request) -> None:
        if request.method != "DELETE":
            registry.as_registries_do(request)
            return
        status = left.pop(0)
        if status == 202 and deletes:
            registry.image.manifests.clear()
        request.answer(b"", status)

    return answer


def test_a_manifest_is_deleted_by_its_digest(registry: MadeUpRegistry) -> None:
    top = digest(registry.image.top)
    registry.answers = answers(registry, 202)
    assert repository(registry).delete(top)
    assert f"DELETE /v2/a/manifests/{top}" in registry.asked


def test_one_that_is_gone_already_is_no_failure(registry: MadeUpRegistry) -> None:
    registry.answers = answers(registry, 404)
    assert not repository(registry).delete(digest(b"gone"))


def test_what_may_pass_is_tried_again(registry: MadeUpRegistry) -> None:
    registry.answers = answers(registry, 503, 202)
    assert repository(registry).delete(digest(registry.image.top))


@pytest.mark.parametrize(
    ("status", "said"),
    [(405, "allows no deletion"), (403, "does not let us in"), (400, "cannot delete the manifest")],
)
def test_a_refusal_says_what_to_do(registry: MadeUpRegistry, status: int, said: str) -> None:
    registry.answers = answers(registry, status)
    with pytest.raises(RegistryError, match=said):
        repository(registry).delete(digest(registry.image.top))


@pytest.mark.parametrize("status", [202, 404])
def test_one_that_is_there_after_it_was_deleted_is_a_failure(
    registry: MadeUpRegistry, status: int
) -> None:
    registry.answers = answers(registry, status, deletes=False)
    with pytest.raises(RegistryError, match="has it still"):
        repository(registry).delete(digest(registry.image.top))
