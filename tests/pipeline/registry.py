"""A real registry on loopback, and images put into it without an engine."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
import shutil
import socket
import subprocess
import tarfile
import time
import urllib.request
from collections.abc import Mapping
from http.client import HTTPMessage
from pathlib import Path
from typing import Any

import trustme

PROGRAM = Path("usr/bin/docker-registry")
USER, PASSWORD = "someone", "secret"
# The bcrypt hash of PASSWORD: the registry knows no other kind.
_HTPASSWD = f"{USER}:$2b$04$oE8g1OrexCl9gbfDTTxYX.//fzMMMJMciL3UZunTSAXOjTE4A.GX6\n"
_OCI = "application/vnd.oci.image"
START_SECONDS = 30.0
_REQUEST = re.compile(r'"([A-Z]+ /v2/[^ "?]*)[^"]*"')


class Registry:
    """A registry in its own folder, which can be stopped and started again on the same port."""

    def __init__(
        self,
        program: Path,
        folder: Path,
        *,
        password: bool = False,
        authority: trustme.CA | None = None,
        read_only: bool = False,
    ) -> None:
        self._program = program
        self._folder = folder
        self._password = password
        self._authority = authority
        self.read_only = read_only
        """Whether it refuses what would change it, once it is started again."""
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]

    @property
    def address(self) -> str:
        """HOST:PORT, the beginning of its image references."""
        return f"127.0.0.1:{self.port}"

    def start(self, *, deletes: bool = True) -> None:
        """Start it; returns when it accepts connections. `deletes`: whether it allows deletion."""
        configuration: dict[str, Any] = {
            "version": "0.1",
            "log": {"level": "warn"},
            "storage": {
                "filesystem": {"rootdirectory": str(self._folder / "storage")},
                "delete": {"enabled": deletes},
                "maintenance": {"readonly": {"enabled": self.read_only}},
            },
            "http": {"addr": self.address, "secret": "of this test alone"},
        }
        if self._authority:
            certificate = self._authority.issue_cert("127.0.0.1", "localhost")
            chain, key = self._folder / "chain.pem", self._folder / "key.pem"
            chain.write_bytes(b"".join(part.bytes() for part in certificate.cert_chain_pems))
            certificate.private_key_pem.write_to_path(key)
            configuration["http"]["tls"] = {"certificate": str(chain), "key": str(key)}
        if self._password:
            users = self._folder / "users"
            users.write_text(_HTPASSWD)
            configuration["auth"] = {"htpasswd": {"realm": "test", "path": str(users)}}
        # JSON is YAML.
        path = self._folder / "configuration.yml"
        path.write_text(json.dumps(configuration))
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, "serve", path], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._accepts():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise AssertionError((self._folder / "log").read_text())
            time.sleep(0.01)

    def _accepts(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
        except OSError:
            return False
        return True

    @property
    def storage(self) -> Path:
        """Where it keeps what it has, laid out as the registry's own documentation says."""
        return self._folder / "storage/docker/registry/v2"

    def blob(self, digest: str) -> Path:
        """The file of a blob or manifest."""
        hexadecimal = digest.removeprefix("sha256:")
        return self.storage / "blobs/sha256" / hexadecimal[:2] / hexadecimal / "data"

    def take(self, other: Registry) -> None:
        """Have what another one has that stopped, without sending it."""

        def copy(source: str, target: str) -> None:
            # A blob's file is never written to again; one that says where a tag is, is.
            (os.link if Path(source).name == "data" else shutil.copyfile)(source, target)

        shutil.copytree(other.storage, self.storage, copy_function=copy)

    def requests(self) -> list[str]:
        """`METHOD /path` of every request since it was first started."""
        lines = (self._folder / "log").read_text().splitlines()
        return [match[1] for line in lines if (match := _REQUEST.search(line))]

    def uploads(self) -> list[str]:
        """The digest of every blob that was uploaded to it, in order."""
        text = (self._folder / "log").read_text()
        return re.findall(r'"PUT /v2/\S*digest=sha256%3A([0-9a-f]{64})\S* HTTP', text)

    def stop(self) -> None:
        """Kill it; what it stores stays.

        But for links that it made and had not yet written: on them it would answer 500 for ever,
        and what mends that is its operator (test_publish_faults.py has one).
        """
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            for link in self.storage.glob("repositories/**/link"):
                if not link.stat().st_size:
                    link.unlink()

    def __enter__(self) -> Registry:
        """It runs until the end of the block."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def link(self, repository: str, digest: str) -> Path:
        """The file by which a repository has a blob."""
        hexadecimal = digest.removeprefix("sha256:")
        return self.storage / "repositories" / repository / "_layers/sha256" / hexadecimal / "link"

    def push(
        self,
        repository: str,
        tag: str,
        files: Mapping[str, str],
        labels: Mapping[str, str] | None = None,
    ) -> str:
        """Put an image of one layer with these files there; returns its digest."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for name, text in files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(text.encode())
                archive.addfile(entry, io.BytesIO(text.encode()))
        layer = buffer.getvalue()
        config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {"Labels": dict(labels or {})},
                "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
            }
        ).encode()
        manifest = {
            "schemaVersion": 2,
            "mediaType": f"{_OCI}.manifest.v1+json",
            "config": self._blob(repository, config, f"{_OCI}.config.v1+json"),
            "layers": [self._blob(repository, layer, f"{_OCI}.layer.v1.tar")],
        }
        answer = self._request(
            "PUT",
            f"http://{self.address}/v2/{repository}/manifests/{tag}",
            json.dumps(manifest).encode(),
            f"{_OCI}.manifest.v1+json",
        )
        return str(answer["Docker-Content-Digest"])

    def remove(self, repository: str, digest: str) -> None:
        """Remove a manifest, and every tag that stands for it."""
        address = f"http://{self.address}/v2/{repository}/manifests/{digest}"
        self._request("DELETE", address, b"")

    def _blob(self, repository: str, data: bytes, media_type: str) -> dict[str, str | int]:
        begun = self._request("POST", f"http://{self.address}/v2/{repository}/blobs/uploads/", b"")
        self._request("PUT", f"{begun['Location']}&digest={_digest(data)}", data)
        return {"mediaType": media_type, "digest": _digest(data), "size": len(data)}

    def _request(
        self, method: str, address: str, data: bytes, media_type: str = "application/octet-stream"
    ) -> HTTPMessage:
        request = urllib.request.Request(address, data, method=method)
        request.add_header("Content-Type", media_type)
        if self._password:
            request.add_header("Authorization", f"Basic {credentials()}")
        with urllib.request.urlopen(request, timeout=30) as answer:
            headers: HTTPMessage = answer.headers
            return headers


def credentials() -> str:
    """USER and PASSWORD as HTTP's basic authentication and docker's config.json have them."""
    return base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
