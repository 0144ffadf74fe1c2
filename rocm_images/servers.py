"""The inference servers: the package that images carry, as the pipeline reads it.

A server's module lies in images/rootfs/opt/rocm-images/image_servers/, its part of the recipe in
templates/servers/NAME/, its sources and settings in matrix.yaml. docs/servers.md shows it.
"""

from __future__ import annotations

import rocm_images.places  # noqa: F401  (it says where the images' packages are)
from image_servers import DEFAULT, SERVERS, Arguments, Server, server_of

__all__ = ["DEFAULT", "SERVERS", "Arguments", "Server", "server_of"]
