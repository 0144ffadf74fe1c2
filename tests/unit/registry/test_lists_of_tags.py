"""A repository's tags are listed to their end, and a list without one is left."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from made_up_registry import MadeUpRegistry, Request, says, sends
from rocm_images.errors import RegistryError
from rocm_images.registry import tags
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.client import Repository
from rocm_images.registry.retries import Retries
from rocm_images.registry.tags import MOST_TAGS
from rocm_images.registry.transport import Deadlines

QUICK = Deadlines(connect=5, between=0.25, whole=0.5)


@pytest.fixture(scope="module")
def server() -> Iterator[MadeUpRegistry]:
    with MadeUpRegistry() as found:
        yield found


@pytest.fixture
def registry(server: MadeUpRegistry) -> MadeUpRegistry:
    server.behave()
    return server


def listed(registry: MadeUpRegistry, deadlines: Deadlines | None = None) -> tuple[str, ...] | None:
    address = RegistryAddress.parse(registry.address)
    return Repository(address, "rocm/pytorch", None, Retries(attempts=1), deadlines).list_tags()


def page(*names: object) -> bytes:
    return json.dumps({"name": "rocm/pytorch", "tags": names}).encode()


def pages(link: str) -> Callable[[Request], None]:
    """Three of them; the link to the next is written as one registry or another does it."""

    def answer(request: Request) -> None:
        asked = parse_qs(urlsplit(request.path).query)
        number = int(asked.get("last", ["0"])[0])
        following = {"Link": link.format(last=number + 1)} if number < 2 else {}
        request.answer(page(f"tag-{number}"), **following)

    return answer


@pytest.mark.parametrize(
    "link",
    [
        '</v2/rocm/pytorch/tags/list?last={last}&n=1000>; rel="next"',
        '<http://127.0.0.1:1/elsewhere?last={last}>; rel="next"',
        '</v2/_catalog?last={last}>; rel="next"',
    ],
)
def test_every_page_is_read_and_none_from_elsewhere(registry: MadeUpRegistry, link: str) -> None:
    registry.answers = pages(link)
    assert listed(registry) == ("tag-0", "tag-1", "tag-2")
    assert {one.partition("?")[0] for one in registry.asked} == {"GET /v2/rocm/pytorch/tags/list"}


def test_what_is_no_tag_is_none(registry: MadeUpRegistry) -> None:
    odd = ("a b", "x\x1b[31m", "", "t" * 129, "-x", "a\n", None, 7, ["b"], {"c": 1}, "\u0661")
    registry.answers = sends(page("one", *odd, "two", "one"))
    assert listed(registry) == ("one", "two")


@pytest.mark.parametrize("content", [b'{"tags": null}', b'{"tags": []}'])
def test_a_repository_without_tags_has_an_empty_list(
    registry: MadeUpRegistry, content: bytes
) -> None:
    registry.answers = sends(content)
    assert listed(registry) == ()


def test_where_there_is_no_list_there_is_none(registry: MadeUpRegistry) -> None:
    registry.answers = says(404)
    assert listed(registry) is None


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (says(405), "cannot read its list of tags"),
        (says(403), "does not let us in"),
        (sends(b"<html>"), "not a registry's answer"),
        (sends(b"[]"), "not a registry's answer"),
        (sends(b'{"tags": "one"}'), "not a registry's answer"),
        (sends(b'{"tags": {"a": 1}}'), "not a registry's answer"),
        (sends(b"{}"), "not a registry's answer"),
        (sends(page(*range(1_000_000))), "not a registry's answer"),
    ],
)
def test_whatever_else_a_registry_says_is_a_sentence(
    registry: MadeUpRegistry, answers: Callable[[Request], object], said: str
) -> None:
    registry.answers = answers
    with pytest.raises(RegistryError, match=said):
        listed(registry)


def test_a_page_that_trickles_is_a_sentence(registry: MadeUpRegistry) -> None:
    registry.answers = lambda request: request.slowly(b'{"tags": [')
    with pytest.raises(RegistryError, match=r"not a registry's answer|cannot read"):
        listed(registry, QUICK)


def endless(request: Request) -> None:
    number = len(request.path)
    link = f'</v2/rocm/pytorch/tags/list?last={"x" * number}>; rel="next"'
    request.answer(page("one"), Link=link)


def test_pages_without_an_end_are_left(
    registry: MadeUpRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tags, "MOST_PAGES", 5)
    registry.answers = endless
    with pytest.raises(RegistryError, match=r"its list of tags does not end: .* after 1 tag$"):
        listed(registry)
    assert len(registry.asked) == 5


def test_a_page_that_leads_to_itself_is_left_at_once(registry: MadeUpRegistry) -> None:
    registry.answers = sends(page("one"), Link='</tags/list?last=one>; rel="next"')
    with pytest.raises(RegistryError, match="does not end"):
        listed(registry)
    assert len(registry.asked) == 2


def test_pages_that_take_too_long_together_are_left(
    registry: MadeUpRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tags, "SECONDS", 0.0)
    registry.answers = endless
    with pytest.raises(RegistryError, match="does not end"):
        listed(registry)
    assert len(registry.asked) == 1


def test_more_tags_than_any_repository_has_are_left(
    registry: MadeUpRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MOST_TAGS == 100_000
    monkeypatch.setattr(tags, "MOST_TAGS", 3)
    registry.answers = sends(page("a", "b", "c"))
    assert listed(registry) == ("a", "b", "c")
    registry.answers = sends(page("a", "b", "c", "d"))
    with pytest.raises(RegistryError, match="does not end"):
        listed(registry)
