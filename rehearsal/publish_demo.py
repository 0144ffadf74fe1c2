"""Publishes the rehearsed images to a registry on this machine, and pulls one back, verified.

Run by `make publish-demo`. Everything it makes is below build/publish-demo; the registry ends with
it. The images are stand-ins; registry, signatures and verification are real.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from rehearsal import debian_packages  # noqa: E402
from rehearsal.engine import PrivateEngine  # noqa: E402
from rocm_images.errors import RocmImagesError  # noqa: E402

FOLDER = PROJECT / "build" / "publish-demo"
START_SECONDS = 30.0
# The key signs stand-ins on this machine and is made anew each time: it protects nothing.
PASSWORD = "demo"
# The cells of `make rehearse`: without them every base would be built, for some ten minutes.
REHEARSED = ("--arch", "942", "--base", "7.2.0", "--base", "7.2.2")


def main() -> int:
    """Runs the demonstration; returns the exit status of the first step that failed, or 0."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    status = _build_py(*REHEARSED, "--rehearse")
    if status != 0:
        return status
    engine = PrivateEngine()
    programs = debian_packages.unpack(engine.packages, debian_packages.distribution())
    ours = engine.environment()
    if not engine.answers():
        # Another engine answers, which the user may have named: the rehearsal used that one.
        ours.pop("DOCKER_HOST")
    environment = {**os.environ, **ours, "COSIGN_PASSWORD": PASSWORD}
    subprocess.run(["cosign", "generate-key-pair"], cwd=FOLDER, env=environment, check=True)
    registry, address = _start_registry(programs)
    try:
        return _publish_and_pull(address, environment)
    finally:
        registry.kill()
        registry.wait()


def _publish_and_pull(address: str, environment: dict[str, str]) -> int:
    where = (*REHEARSED, "--registry", address, "--channel", "preview", "--rehearse")
    key, public = FOLDER / "cosign.key", FOLDER / "cosign.pub"
    there = ("--output", str(FOLDER))
    status = _build_py("publish", *where, *there, "--sign-key", str(key), environment=environment)
    if status != 0:
        return status
    # By digest: the engine then has no tag of a registry that is gone.
    words = ("pick", "--arch", "942", "--catalogue", str(FOLDER / "catalogue.json"))
    image = _output(*words, "--key", str(public), environment=environment)
    status = _build_py("pull", image, "--key", str(public), environment=environment)
    if status == 0:
        print(f"\nthe catalogue page: {FOLDER / 'catalogue.html'}")
    return status


def _build_py(*words: str, environment: dict[str, str] | None = None) -> int:
    # What a person would type: the key's folder and this Python are noise.
    shown = re.sub(re.escape(f"{FOLDER}/"), "", " ".join(words))
    print(f"\n$ python build.py {shown}", flush=True)
    command = [sys.executable, str(PROJECT / "build.py"), *words]
    return subprocess.run(command, env=environment, check=False).returncode


def _output(*words: str, environment: dict[str, str]) -> str:
    command = [sys.executable, str(PROJECT / "build.py"), *words]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _start_registry(programs: Path) -> tuple[subprocess.Popen[bytes], str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    configuration = {
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(FOLDER / "registry")}},
        "http": {"addr": address, "secret": "of this demonstration alone"},
    }
    path = FOLDER / "registry.yml"
    # JSON is YAML.
    path.write_text(json.dumps(configuration))
    with (FOLDER / "registry.log").open("wb") as log:
        process = subprocess.Popen(
            [programs / "usr/bin/docker-registry", "serve", path],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    deadline = time.monotonic() + START_SECONDS
    host, _, port = address.partition(":")
    while True:
        try:
            socket.create_connection((host, int(port)), timeout=5).close()
            return process, address
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                raise RocmImagesError(
                    f"the registry of the demonstration does not start: see {FOLDER}/registry.log"
                ) from None
            time.sleep(0.02)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RocmImagesError as error:
        print(f"publish_demo.py: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
