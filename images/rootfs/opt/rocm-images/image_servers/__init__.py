"""The inference servers that an image can hold: all that is known of one stands behind this seam.

For the programs in an image and for the pipeline that builds it, so: standard library only. To add
one, write a module like sglang.py, name it here, give it its recipe in templates/servers/NAME/, and
its sources in matrix.yaml. docs/servers.md shows it.
"""

from image_servers.all_reduce import AllReduce, AllReduceVariable, Switch
from image_servers.api import Api, Generation, Question, Sampling
from image_servers.arguments import Arguments
from image_servers.log_lines import Advice, LogLines, OwnCause
from image_servers.server import Graphs, Groups, Probe, Server
from image_servers.sglang import SGLANG
from image_servers.vllm import VLLM

SERVERS: dict[str, Server] = {server.name: server for server in (SGLANG, VLLM)}
DEFAULT = SGLANG
"""The one that is meant where no image says which it holds: a checkout, another's image."""
__all__ = [
    "DEFAULT",
    "SERVERS",
    "Advice",
    "AllReduce",
    "AllReduceVariable",
    "Api",
    "Arguments",
    "Generation",
    "Graphs",
    "Groups",
    "LogLines",
    "OwnCause",
    "Probe",
    "Question",
    "Sampling",
    "Server",
    "Switch",
    "server_of",
]


def server_of(name: str | None) -> Server:
    """The server of that name; the default where none is named.

    Raises:
        KeyError: this program knows none of that name.
    """
    return SERVERS[name] if name else DEFAULT
