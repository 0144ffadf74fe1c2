"""What the tests take from whoever starts them: a few names, and no habit that changes a result."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile
from collections.abc import Mapping
from pathlib import Path

_KEPT = (
    *("PATH", "LD_LIBRARY_PATH", "PYENV_ROOT", "USER", "LOGNAME", "TMPDIR", "TZ"),
    # How pip and others reach an index where a company stands in between.
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
)
_OF_THE_MACHINE = (
    # Which engine answers here, and how it is reached.
    *("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"),
    *("SSH_AUTH_SOCK", "APT_CONFIG", "DEBIAN_FRONTEND", "NODE_EXTRA_CA_CERTS"),
    *("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "no_proxy", "NO_PROXY"),
)
_LOOPBACK = "localhost,127.0.0.1,::1"
_SET = {
    "LANG": "C.UTF-8",
    # A signature that is asked for, other line ends, hooks: somebody else's commits, not these.
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    # A checkout that is mounted, or that root reads, belongs to somebody else.
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "safe.directory",
    "GIT_CONFIG_VALUE_0": "*",
}
_FOUND = dict(os.environ)
"""What pytest was started with: folders of tests that run as one each take their part of it."""
_LONGEST_TMPDIR = 30
"""A socket's path holds 107 bytes; pytest's folder for a test, below this, and its name take 70."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def settle(*, machine: bool = False) -> None:
    """Change this process, and so what tests start, to what they expect, wherever they run.

    Args:
        machine: whether tests use the machine's engine and mirrors, and so the ways to them.
    """
    os.umask(0o022)
    listened_to_again()
    kept = known(_FOUND, machine=machine)
    if not machine or not _can_be_written(Path(kept.get("HOME", "/"))):
        home = tempfile.mkdtemp(prefix="home-of-tests-")
        atexit.register(shutil.rmtree, home, ignore_errors=True)
        kept["HOME"] = home
    if len(kept.get("TMPDIR", "")) > _LONGEST_TMPDIR and _can_be_written(Path("/tmp")):
        kept["TMPDIR"] = "/tmp"
    os.environ.clear()
    os.environ.update(kept)
    # Read anew where it was asked for before.
    tempfile.tempdir = None


def listened_to_again() -> None:
    """Have no signal ignored or held back in what tests start.

    A shell that starts something in the background has it ignore SIGINT and SIGQUIT, nohup
    SIGHUP; a handler of Python's is the default again in what is started.
    """
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    for number in _SIGNALS:
        if signal.getsignal(number) is signal.SIG_IGN:
            interrupts = number == signal.SIGINT
            signal.signal(number, signal.default_int_handler if interrupts else signal.SIG_DFL)


def known(environment: Mapping[str, str], *, machine: bool) -> dict[str, str]:
    """What of an environment tests are to see, and what is added to it."""
    names = {*_KEPT, *(("HOME", *_OF_THE_MACHINE) if machine else ())}
    ours = ("PIP_", "PYTEST_", "HYPOTHESIS_")
    kept = {k: v for k, v in environment.items() if k in names or k.startswith(ours)}
    for name in ("no_proxy", "NO_PROXY") if machine else ():
        kept[name] = ",".join(filter(None, (kept.get(name), _LOOPBACK)))
    return {**kept, **_SET}


def _can_be_written(home: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=home):
            return True
    except OSError:
        return False
