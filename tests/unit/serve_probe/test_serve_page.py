"""What docs/serve.md says is what the program takes and does."""

from __future__ import annotations

import re
import shlex

import pytest
from corpus import CORPUS

from image_servers import SERVERS
from raw_logs import PROJECT
from serve_probe import faults
from serve_probe.causes import Cause, causes_of
from serve_probe.options import SIZES, parse
from serve_probe.provocation import PROVOCATIONS, Kind
from serve_probe.verdict import State

PAGE = (PROJECT / "docs" / "serve.md").read_text()
COMMANDS = re.findall(r"^    (graph-probe serve.*)$", PAGE, flags=re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_page_is_understood(command: str) -> None:
    assert len(COMMANDS) >= 4
    options = parse(shlex.split(command, comments=True)[2:])
    assert options.sizes is None or set(options.sizes) <= set(SIZES)


def test_the_page_lists_every_state_and_every_kind_of_failure() -> None:
    for name in (*State, *Kind):
        assert f"`{name}`" in PAGE


def test_the_page_lists_every_cause() -> None:
    causes = {cause.name for one in SERVERS.values() for cause in causes_of(one.log)}
    causes |= {cause.name for cause in vars(faults).values() if isinstance(cause, Cause)}
    causes |= {expected.cause for expected in CORPUS.values() if expected.cause} | {"vanished"}
    assert not [name for name in sorted(causes) if f"`{name}`" not in PAGE]


def test_every_kind_has_its_provocation() -> None:
    assert set(PROVOCATIONS) == set(Kind)
    assert all(provocation.kind is kind for kind, provocation in PROVOCATIONS.items())


def test_all_provokes_every_kind_and_none_twice() -> None:
    assert parse(["--provoke", "all"]).provoke == tuple(Kind)
    assert parse(["--provoke", "query", "query"]).provoke == (Kind.QUERY,)


def test_what_follows_two_dashes_is_the_servers() -> None:
    assert parse(["--tp", "2", "--", "--json", "x"]).server_arguments == ("--json", "x")
    assert not parse(["--tp", "2", "--", "--json", "x"]).json


def test_a_server_can_be_named_where_no_image_names_it() -> None:
    assert [parse(["--server", name]).server for name in SERVERS] == list(SERVERS)
    assert parse([]).server is None
