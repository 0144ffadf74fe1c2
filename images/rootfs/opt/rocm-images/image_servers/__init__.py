"""The inference servers that an image can hold: all that is known of one stands behind this seam.

For the programs in an image and for the pipeline that builds it, so: standard library only. To add
one, write a module like sglang.py, name it here, give it its recipe in templates/servers/NAME/, and
its sources in matrix.yaml. docs/servers.md shows it.
"""

from image_servers.server import Advice, AllReduce, AllReduceVariable, LogLines, Server
from image_servers.sglang import SGLANG
from image_servers.vllm_log import VLLM_LOG

SERVERS: dict[str, Server] = {SGLANG.name: SGLANG}
DEFAULT = SGLANG
"""The one that is meant where no image says which it holds: a checkout, another's image."""
LOGS: tuple[LogLines, ...] = (*(server.log for server in SERVERS.values()), VLLM_LOG)
"""Whose logs can be judged."""

__all__ = [
    "DEFAULT",
    "LOGS",
    "SERVERS",
    "Advice",
    "AllReduce",
    "AllReduceVariable",
    "LogLines",
    "Server",
    "server_of",
]


def server_of(name: str | None) -> Server:
    """The server of that name; the default where none is named.

    Raises:
        KeyError: this program knows none of that name.
    """
    return SERVERS[name] if name else DEFAULT
