"""Documents that nobody wrote: any bytes, any JSON, and good ones with one place made odd."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import strategies as st

DEEP, LONG_NUMBER, LARGE_FLOAT = "<deep>", "<long number>", "<large float>"
# What json.dumps cannot write.
_WRITTEN = {
    DEEP: "[" * 20_000 + "]" * 20_000,
    LONG_NUMBER: "9" * 5_000,
    LARGE_FLOAT: "1e999",
}
ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    10**30,
    10**400,
    0.5,
    -0.0,
    1e308,
    math.nan,
    math.inf,
    "",
    "a",
    "0",
    "\ud800",
    "\x1b[31m\x07\u202e\x00",
    "a\nbuild.py: verified",
    "x" * 5_000,
    "../../../etc/passwd",
    "{{ 1 }}<script>",
    "9" * 5_000,
    "1." * 2_000 + "1",
    [],
    {},
    [None],
    [[]],
    [{}],
    {"": None},
    {"\ud800": "\x1b"},
    ["a", 1, None],
    DEEP,
    LONG_NUMBER,
    LARGE_FLOAT,
)
Place = tuple[Any, ...]


def written(document: Any) -> bytes:
    """The document as JSON, with what only a text can hold."""
    text = json.dumps(document)
    for name, content in _WRITTEN.items():
        text = text.replace(json.dumps(name), content)
    return text.encode()


def places(document: Any, here: Place = ()) -> Iterator[Place]:
    """Every place in a document, the whole first."""
    yield here
    if isinstance(document, dict):
        for key, value in document.items():
            yield from places(value, (*here, key))
    elif isinstance(document, list):
        for index, value in enumerate(document):
            yield from places(value, (*here, index))


def with_odd(document: Any, place: Place, odd: Any) -> Any:
    """A copy with another value at one place."""
    if not place:
        return odd
    changed = copy.deepcopy(document)
    inner = changed
    for part in place[:-1]:
        inner = inner[part]
    inner[place[-1]] = odd
    return changed


def _without(document: Any, place: Place) -> Any:
    changed = copy.deepcopy(document)
    inner = changed
    for part in place[:-1]:
        inner = inner[part]
    del inner[place[-1]]
    return changed


json_values = st.recursive(
    st.sampled_from(ODD_VALUES)
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=())),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=6,
)


def odd(document: Any) -> st.SearchStrategy[Any]:
    """A good document with one place replaced, left out or given another key."""
    everywhere = list(places(document))
    values = st.sampled_from(ODD_VALUES) | json_values
    replaced = st.builds(lambda p, v: with_odd(document, p, v), st.sampled_from(everywhere), values)
    left_out = st.builds(lambda p: _without(document, p), st.sampled_from(everywhere[1:]))
    objects = [p for p in everywhere if isinstance(_at(document, p), dict)]
    added = st.builds(
        lambda p, k, v: with_odd(document, (*p, k), v),
        st.sampled_from(objects),
        st.text(max_size=5),
        values,
    )
    return st.one_of(replaced, replaced, replaced, left_out, added)


def _at(document: Any, place: Place) -> Any:
    for part in place:
        document = document[part]
    return document


def contents(document: Any, finish: Callable[[Any], bytes] = written) -> st.SearchStrategy[bytes]:
    """What may lie in a file of a format of which `document` is a good one."""
    whole = finish(document)
    return st.one_of(
        odd(document).map(finish),
        odd(document).map(finish),
        odd(document).map(finish),
        json_values.map(written),
        st.integers(0, len(whole)).map(lambda end: whole[:end]),
        damaged(whole),
        st.binary(max_size=200),
    )


def damaged(whole: bytes) -> st.SearchStrategy[bytes]:
    """Good bytes with a few of them replaced or put in between."""
    return st.builds(
        lambda at, cut, more: whole[:at] + more + whole[at + cut :],
        st.integers(0, len(whole)),
        st.integers(0, 20),
        st.binary(max_size=8) | st.sampled_from([b"\xff", b"\0", b"\x1b[2J", b"\xed\xa0\x80"]),
    )
