#!/usr/bin/env python3
"""A private Docker Engine for the rehearsal: `rehearsal/engine.py start|stop|status|env`.

It runs from unpacked packages with its own containerd, socket, data folder and containerd image
store, opens no network port, makes no bridge and writes no firewall rule, so it can run beside any
other engine. `rm -rf .cache` removes every trace after `stop`.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from rehearsal import debian_packages
from rocm_images import telling
from rocm_images.errors import EngineError
from rocm_images.files import write_json, write_whole
from rocm_images.places import PROJECT
from rocm_images.waiting import waiting_for

_STARTED: dict[Path, list[subprocess.Popen[bytes]]] = {}
START_SECONDS = 60.0
STOP_SECONDS = 30.0


@dataclass(frozen=True)
class PrivateEngine:
    """Where the private engine of one checkout keeps its files."""

    cache: Path = PROJECT / ".cache" / "rehearsal"
    bridge: str = "none"
    """A network interface for containers and build steps, which the caller made."""
    containerd_store: bool = True
    """Whether images are kept by containerd; else by a graph driver, as before Docker 29."""
    distribution: debian_packages.Distribution | None = None
    """What it runs from; None: this host's packages."""

    @property
    def packages(self) -> Path:
        """The unpacked packages."""
        return self.cache / "packages"

    @property
    def data(self) -> Path:
        """Images, containers and build cache."""
        return self.cache / "engine"

    @property
    def runtime(self) -> Path:
        """Sockets and process ids. A socket's path holds at most 107 bytes, so it is not below
        the checkout, whose path may be long."""
        name = hashlib.sha256(str(self.cache).encode()).hexdigest()[:12]
        return Path("/run") / f"rocm-serving-images-{name}"

    @property
    def socket(self) -> Path:
        """The engine's socket."""
        return self.runtime / "docker.sock"

    @property
    def log(self) -> Path:
        """What dockerd prints."""
        return self.cache / "engine.log"

    def environment(self) -> dict[str, str]:
        """What a process needs in its environment to talk to this engine."""
        root = self.packages / "root"
        programs = [root / "usr/bin", root / "usr/sbin", root / "usr/libexec/docker/cli-plugins"]
        # Debian and Ubuntu keep buildx among the CLI's plugins, where it also runs by itself.
        programs.append(root / "usr/lib/docker/cli-plugins")
        path = os.pathsep.join([*map(str, programs), os.environ.get("PATH", os.defpath)])
        return {"DOCKER_HOST": f"unix://{self.socket}", "PATH": path}

    def pid(self) -> int | None:
        """The process id of the running dockerd, or None."""
        return next(iter(self._processes("dockerd")), None)

    def pids(self) -> list[int]:
        """The processes that do its work, as far as they run."""
        return self._processes("dockerd", "containerd")

    def _processes(self, *programs: str) -> list[int]:
        """Processes of this engine, known by the paths that only they are started with."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            ours = any(str(self._configuration) in w or str(self.runtime) in w for w in words[1:])
            if ours and Path(words[0]).name in programs:
                found.append(int(entry.name))
        return found

    @property
    def _configuration(self) -> Path:
        return self.cache / "daemon.json"

    def start(self) -> None:
        """Start the engine unless it runs; returns when it answers.

        Raises:
            EngineError: not root, packages cannot be had, or dockerd does not answer.
        """
        with self.only_one():
            if self.pid() is not None:
                return
            if os.geteuid() != 0:
                raise EngineError(
                    "no Docker Engine answers, and only root can start a private one: start your "
                    "engine, or run this as root"
                )
            packages = self.distribution or debian_packages.distribution()
            debian_packages.unpack(self.packages, packages)
            try:
                self._launch()
            except EngineError:
                if not self._build_cache_too_large():
                    raise
                telling.step(
                    "rehearsal/engine.py: the build cache grew too large for dockerd to read in "
                    "time: emptied it (images stay), and starting again"
                )
                shutil.rmtree(self._build_cache)
                self._launch()

    @property
    def _build_cache(self) -> Path:
        """What BuildKit knows of its cache; the layers themselves are containerd's."""
        return self.data / "buildkit"

    def _build_cache_too_large(self) -> bool:
        """Whether dockerd ended since it had not read the build cache in the time it gives itself.

        Seen on Docker 26.1 with about 2,300 steps in the cache.
        """
        last = self.log.read_text(errors="replace").splitlines()[-1:]
        return last == ["context deadline exceeded"] and self._build_cache.is_dir()

    @contextlib.contextmanager
    def only_one(self) -> Iterator[None]:
        """Keeps two runs that begin at once from preparing the same things."""
        self.cache.mkdir(parents=True, exist_ok=True)
        with (self.cache / "lock").open("w") as lock:
            with waiting_for("another run, which prepares the rehearsal in this folder"):
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _launch(self) -> None:
        # One that was left by a dockerd that was killed.
        self._end("containerd")
        self._reap()
        self.runtime.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.socket.unlink(missing_ok=True)
        (self.runtime / "docker.pid").unlink(missing_ok=True)
        configuration = {
            "features": {"containerd-snapshotter": self.containerd_store},
            "data-root": str(self.data),
            "exec-root": str(self.runtime / "exec"),
            # Else it takes the system's where one runs, and with it the system's images.
            "containerd": str(self._containerd_socket),
            "pidfile": str(self.runtime / "docker.pid"),
            "hosts": [f"unix://{self.socket}"],
            "group": str(os.getegid()),
            "bridge": self.bridge,
            "iptables": False,
            "ip6tables": False,
            "log-level": "warn",
        }
        write_json(self._configuration, configuration)
        words = ["containerd", "--config", str(self._configure_containerd())]
        self._begin(words, self.cache / "containerd.log", self._containerd_socket.is_socket)
        words = ["dockerd", "--config-file", str(self._configuration)]
        self._begin(words, self.log, self.answers)

    @property
    def _containerd_socket(self) -> Path:
        return self.runtime / "exec" / "containerd" / "containerd.sock"

    def _configure_containerd(self) -> Path:
        """Writes for our containerd what dockerd writes for one that it starts by itself."""
        folder = self._containerd_socket.parent
        folder.mkdir(parents=True, exist_ok=True)
        self._containerd_socket.unlink(missing_ok=True)
        root, state, address = (
            json.dumps(str(path))
            for path in (
                self.data / "containerd/daemon",
                folder / "daemon",
                self._containerd_socket,
            )
        )
        path = folder / "containerd.toml"
        write_whole(
            path,
            f"version = 2\nroot = {root}\nstate = {state}\n"
            'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
            f'[grpc]\naddress = {address}\n[debug]\nlevel = "warn"\n',
        )
        return path

    def _begin(self, words: list[str], path: Path, ready: Callable[[], bool]) -> None:
        with path.open("wb") as log:
            process = subprocess.Popen(
                words,
                env={**os.environ, **self.environment()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        # The engine is to outlive this process, which must not drop its handle before.
        _STARTED.setdefault(self.runtime, []).append(process)
        with waiting_for(f"{words[0]} of the private engine, which starts"):
            self._until(ready, process, path)

    def _until(
        self, ready: Callable[[], bool], process: subprocess.Popen[bytes], path: Path
    ) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                self._end("containerd")
                last = path.read_text(errors="replace").splitlines()[-3:]
                raise EngineError(
                    f"the private engine does not answer; the end of {path} is:\n" + "\n".join(last)
                )
            time.sleep(0.05)

    def _reap(self) -> None:
        for dead in _STARTED.pop(self.runtime, []):
            dead.wait()

    def answers(self) -> bool:
        """Whether the engine answers on its socket."""
        import http.client
        import socket

        class _Connection(http.client.HTTPConnection):
            def __init__(self, path: Path) -> None:
                super().__init__("localhost", timeout=5)
                self._path = path

            def connect(self) -> None:
                self.sock = socket.socket(socket.AF_UNIX)
                self.sock.settimeout(5)
                self.sock.connect(str(self._path))

        connection = _Connection(self.socket)
        try:
            connection.request("GET", "/_ping")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def stop(self) -> bool:
        """Stop the engine and its containers; returns whether anything ran.

        Also ends and unmounts what a dockerd that was killed has left.

        Raises:
            EngineError: it is still there after being told to stop.
        """
        pids = self._end("dockerd") + self._end("containerd", "containerd-shim-runc-v2")
        self._reap()
        self._unmount()
        shutil.rmtree(self.runtime, ignore_errors=True)
        return bool(pids)

    def _end(self, *programs: str) -> list[int]:
        pids = self._processes(*programs)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        with waiting_for(f"{programs[0]} of the private engine, which ends"):
            while self._processes(*programs):
                if time.monotonic() > deadline:
                    raise EngineError(f"{programs[0]} ({pids}) does not stop: see {self.log}")
                time.sleep(0.05)
        return pids

    def _unmount(self) -> None:
        """dockerd mounts its data folder on itself; after a kill nobody unmounts it."""
        table = Path("/proc/self/mountinfo").read_text().splitlines()
        points = [line.split()[4] for line in table]
        for point in reversed(points):
            if Path(point).is_relative_to(self.data) or Path(point).is_relative_to(self.runtime):
                subprocess.run(["umount", "--lazy", point], check=False, capture_output=True)


def main(arguments: list[str]) -> int:
    """The command line; returns the exit status (status: 0 when it runs, 1 when not)."""
    parser = argparse.ArgumentParser(prog="rehearsal/engine.py", description=__doc__)
    verbs = {
        "start": "start the engine unless it runs",
        "stop": "stop it; its images stay",
        "status": "say whether it runs",
        "env": "print the shell commands that point docker at it; buildx is docker-buildx then",
    }
    subparsers = parser.add_subparsers(dest="verb", required=True)
    for verb, meaning in verbs.items():
        subparsers.add_parser(verb, help=meaning)
    verb = parser.parse_args(arguments).verb
    engine = PrivateEngine()
    try:
        with contextlib.redirect_stderr(telling.Shown(sys.stderr)):
            if verb == "start":
                engine.start()
            stopped = engine.stop() if verb == "stop" else None
        if stopped is not None:
            print("stopped" if stopped else "it was not running")
            return 0
        if verb == "env":
            for name, value in engine.environment().items():
                print(f"export {name}={shlex.quote(value)}")
            return 0
    except EngineError as error:
        print(f"rehearsal/engine.py: {error}", file=sys.stderr)
        return int(error.exit_code)
    running = engine.answers()
    print(f"{'running' if running else 'not running'} at {engine.socket}")
    return 0 if running else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
