"""Reads YAML into plain data and remembers the line and column of every key and value.

Scalars stay text, exactly as written (YAML's failsafe schema): `7.10` does not become the number
7.1, nor `no` the boolean False. Typing is the business of the models that validate the data.
Tags, duplicate keys, several documents, and aliases that expand without bound are problems.

Built from events and not by yaml.compose, whose nodes know their places too: that one calls itself
for each level before anybody can count them, and 200,000 brackets end the process (PyYAML 6.0).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

import yaml
import yaml.reader

from rocm_images.errors import MOST_PROBLEMS, Problem

Data: TypeAlias = "str | list[Data] | dict[str, Data] | None"
KeyPath: TypeAlias = "tuple[str | int, ...]"

MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 32
# A matrix of 10,000 cells needs about 1,000 nodes; a "billion laughs" file needs 1e9.
MAX_NODES = 100_000

# libyaml's parser is ten times faster; a PyYAML built without it has only the Python one.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PLAIN_TAGS = {None, "!", "tag:yaml.org,2002:str", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}


class YamlProblems(Exception):
    """The text is not usable YAML; carries every problem found before reading had to stop."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(problems)
        self.problems = problems


@dataclass
class Document:
    """Plain data with the position (line, column, from 1) of each key and value by its path."""

    data: Data = None
    keys: dict[KeyPath, tuple[int, int]] = field(default_factory=dict)
    values: dict[KeyPath, tuple[int, int]] = field(default_factory=dict)

    def position(self, path: KeyPath, *, key: bool = False) -> tuple[int, int]:
        """The position of the key or value at `path`, or of its nearest ancestor."""
        if key and path in self.keys:
            return self.keys[path]
        while path and path not in self.values:
            path = path[:-1]
        return self.values.get(path, (1, 1))


def parse(raw: bytes) -> Document:
    """Parse one YAML document.

    Raises:
        YamlProblems: not UTF-8, not YAML, too large, or with constructs that are not allowed.
    """
    if len(raw) > MAX_BYTES:
        raise YamlProblems([Problem(1, 1, f"the file is larger than {MAX_BYTES // 2**20} MiB")])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8", "replace")
        line, column = _line_and_column(before, len(before))
        sentence = f"byte 0x{raw[error.start]:02x} is not UTF-8: save the file as UTF-8"
        raise YamlProblems([Problem(line, column, sentence)]) from None
    if forbidden := yaml.reader.Reader.NON_PRINTABLE.search(text):
        line, column = _line_and_column(text, forbidden.start())
        sentence = f"the character U+{ord(forbidden.group()):04X} is not allowed in YAML: remove it"
        raise YamlProblems([Problem(line, column, sentence)])
    builder = _Builder(text)
    try:
        builder.build()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        sentence = f"this is not valid YAML: {error.problem or error.context}"
        builder.problems.append(Problem(line, column, sentence))
    if builder.problems:
        raise YamlProblems(builder.problems)
    return builder.document


def _line_and_column(text: str, offset: int) -> tuple[int, int]:
    before = text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1


def _position(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


class _Stop(Exception):
    """Reading cannot go on after the problem that was just recorded."""


class _Builder:
    """Builds a Document from the parser's events, one recursive call a level."""

    def __init__(self, text: str) -> None:
        self.document = Document()
        self.problems: list[Problem] = []
        self._events: Iterator[yaml.Event] = iter(yaml.parse(text, Loader=_LOADER))
        self._anchors: dict[str, tuple[Data, int]] = {}
        self._nodes = 0

    def build(self) -> None:
        try:
            next(self._events)  # StreamStart
            if isinstance(next(self._events), yaml.StreamEndEvent):
                self.problems.append(Problem(1, 1, "the file is empty"))
                return
            self.document.data = self._node(next(self._events), (), 0)
            next(self._events)  # DocumentEnd
            event = next(self._events)
            if not isinstance(event, yaml.StreamEndEvent):
                self._problem(event, "a second YAML document begins here: keep only one")
        except _Stop:
            pass

    def _problem(self, event: yaml.Event, sentence: str) -> None:
        self.problems.append(Problem(*_position(event), sentence))
        if len(self.problems) >= MOST_PROBLEMS:
            raise _Stop

    def _count(self, event: yaml.Event, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            self._problem(event, f"the file expands to more than {MAX_NODES} values")
            raise _Stop

    def _node(self, event: yaml.Event, path: KeyPath, depth: int) -> Data:
        self.document.values[path] = _position(event)
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                self._problem(event, f"the alias *{event.anchor} is not defined before this line")
                raise _Stop
            data, nodes = self._anchors[event.anchor]
            self._count(event, nodes)
            return data
        if depth > MAX_DEPTH:
            self._problem(event, f"values are nested more than {MAX_DEPTH} levels deep")
            raise _Stop
        before = self._nodes
        self._count(event, 1)
        tag = getattr(event, "tag", None)
        if tag not in _PLAIN_TAGS:
            self._problem(event, f"the YAML tag {tag} is not allowed: write a plain value")
        data = self._content(event, path, depth)
        anchor = getattr(event, "anchor", None)
        if anchor is not None:
            self._anchors[anchor] = (data, self._nodes - before)
        return data

    def _content(self, event: yaml.Event, path: KeyPath, depth: int) -> Data:
        if isinstance(event, yaml.ScalarEvent):
            # Only an empty plain scalar (`key:`) or `~` is "no value"; "" in quotes is a text.
            return None if not event.style and event.value in ("", "~") else event.value
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Data] = []
            for event in self._events:
                if isinstance(event, yaml.SequenceEndEvent):
                    break
                items.append(self._node(event, (*path, len(items)), depth + 1))
            return items
        return self._mapping(path, depth)

    def _mapping(self, path: KeyPath, depth: int) -> dict[str, Data]:
        mapping: dict[str, Data] = {}
        for event in self._events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            if not isinstance(event, yaml.ScalarEvent):
                self._problem(event, "a key must be a plain word, not a list, mapping or alias")
                raise _Stop
            key, here = event.value, (*path, event.value)
            if key in mapping:
                first = self.document.keys[here][0]
                self._problem(event, f"the key {key!r} stands here twice (first in line {first})")
                self._node(next(self._events), (*path, f"{key} again"), depth + 1)
                continue
            if event.tag not in _PLAIN_TAGS:
                self._problem(event, f"the YAML tag {event.tag} is not allowed on a key")
            self.document.keys[here] = _position(event)
            mapping[key] = self._node(next(self._events), here, depth + 1)
        return mapping
