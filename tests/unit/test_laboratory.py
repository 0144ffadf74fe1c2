"""The laboratory passes on what a caller says, and what cannot be measured fails its test."""

from __future__ import annotations

from pathlib import Path

import pytest

from rehearsal import bases, hip_packages
from rehearsal.laboratory import Laboratory, passed_on
from rocm_images.errors import EngineError
from rocm_images.servers import SERVERS, Server


@pytest.mark.parametrize("server", SERVERS.values(), ids=SERVERS)
def test_the_variable_of_each_server_is_passed_on(server: Server) -> None:
    name = server.all_reduce.name
    assert passed_on({name: "1", "DEBUG_CLR": "x", "PATH": "/bin", "HOME": "/"}) == {
        name: "1",
        "DEBUG_CLR": "x",
    }


def test_a_runtime_that_debian_dropped_is_an_error_that_says_what_to_pin(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(bases, "HIP_CACHE", tmp_path)
    for release in hip_packages.pinned():
        hip_packages.note_unusable(tmp_path, release)
        with pytest.raises(EngineError, match=rf"{release} is not to be had.*hip_packages\.json"):
            Laboratory("no container", {}).runtime(release)
