"""What a caller of the laboratory says to a server reaches it, whichever server it is."""

from __future__ import annotations

import pytest

from rehearsal.laboratory import passed_on
from rocm_images.servers import SERVERS, Server


@pytest.mark.parametrize("server", SERVERS.values(), ids=SERVERS)
def test_the_variable_of_each_server_is_passed_on(server: Server) -> None:
    name = server.all_reduce.name
    assert passed_on({name: "1", "DEBUG_CLR": "x", "PATH": "/bin", "HOME": "/"}) == {
        name: "1",
        "DEBUG_CLR": "x",
    }
