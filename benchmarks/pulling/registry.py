"""A registry on loopback that tells how many bytes of layers it sent."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

from rocm_images.errors import EngineError

START_SECONDS = 30.0
LARGEST_MANIFEST = 4 << 20
_SENT = re.compile(r'"GET /v2/\S+/blobs/\S+ HTTP/[0-9.]+" 20[06] (\d+) ')
_MANIFESTS = "application/vnd.oci.image.manifest.v1+json"
_DOCKERS = "application/vnd.docker.distribution.manifest.v2+json"


class Registry:
    """One that can be stopped, laid out anew, and started again on the same port."""

    def __init__(self, program: Path, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)

    @property
    def _storage(self) -> Path:
        return self._folder / "storage"

    @property
    def _log(self) -> Path:
        return self._folder / "log"

    def start(self) -> None:
        """Start it; returns when it accepts connections.

        Raises:
            EngineError: it does not start.
        """
        configuration = {
            "version": "0.1",
            "log": {"level": "warn"},
            "storage": {"filesystem": {"rootdirectory": str(self._storage)}},
            "http": {"addr": self.address, "secret": "of the benchmarks alone"},
        }
        path = self._folder / "configuration.yml"
        # JSON is YAML.
        path.write_text(json.dumps(configuration))
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, "serve", path], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        host, _, port = self.address.partition(":")
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection((host, int(port)), timeout=5).close()
                return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise EngineError(f"the registry does not start: see {self._log}") from None
                time.sleep(0.02)

    def stop(self) -> None:
        """Stop it; what it stores stays."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def keep_as(self, folder: Path) -> None:
        """Keep what it stores now, for `lay_out`; blobs never change, so links will do."""
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run(["cp", "-al", self._storage, folder], check=True)

    def lay_out(self, folder: Path | None) -> None:
        """Run with what was kept in `folder`, or with nothing."""
        self.stop()
        shutil.rmtree(self._storage, ignore_errors=True)
        if folder is not None:
            subprocess.run(["cp", "-al", folder, self._storage], check=True)
        self.start()

    def sent_bytes(self) -> int:
        """All bytes of blobs that it sent since it was made; what it still writes is awaited."""
        size = -1
        while size != (size := self._log.stat().st_size):
            time.sleep(0.2)
        return sent_in(self._log.read_text(errors="replace"))

    def layers(self, repository: str, tag: str) -> list[int]:
        """The compressed size of each layer of an image, in bytes."""
        request = urllib.request.Request(
            f"http://{self.address}/v2/{repository}/manifests/{tag}",
            headers={"Accept": f"{_MANIFESTS}, {_DOCKERS}"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            document = json.loads(answer.read(LARGEST_MANIFEST))
        return [int(layer["size"]) for layer in document["layers"]]


def sent_in(log: str) -> int:
    """How many bytes of blobs a registry sent, by its access log."""
    return sum(int(match[1]) for match in _SENT.finditer(log))
