"""However the command line ends, it ends in a sentence and an exit code of its own."""

from __future__ import annotations

import io
import os
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TextIO

from rocm_images import __version__
from rocm_images.cli.signals import Signals
from rocm_images.errors import REFUSALS, ExitCode, RocmImagesError
from rocm_images.masking import masked
from rocm_images.places import INSTALLED
from rocm_images.supervisor import Stopped, supervisor
from rocm_images.telling import COMMAND, PROGRAM, Shown, shown

if TYPE_CHECKING:
    import click

_INSTALL = (
    "install rocm-serving-images again, with what it requires"
    if INSTALLED
    else "run `make environment` and use .venv/bin/python, or run `pip install -r requirements.txt`"
)
# The SDK and what it talks through; what other servers do is met where they are asked.
_OF_THE_ENGINE = ("docker", "requests", "urllib3")
_FLUSH_SECONDS = 0.3


def ended(load: Callable[[], Callable[[], object]]) -> int:
    """Run the command line to its end, with nothing of it left; returns the exit code.

    Args:
        load: imports what the command line needs, and gives what runs it; what goes wrong in
            either is met here.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # it was closed before the program began
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
    own = sys.stdout, sys.stderr
    # What others wrote is shown and not executed, whoever prints it, in any encoding.
    with suppress(AttributeError):
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    sys.stdout, sys.stderr = map(Shown, own)
    try:
        return _end(load)
    finally:
        sys.stdout, sys.stderr = own


def _end(load: Callable[[], Callable[[], object]]) -> int:
    signals = Signals(_leave)
    try:
        code = _code(load, signals)
        signals.hold()
    except KeyboardInterrupt:
        code = _interrupted()
    supervisor.stop()
    if signals.number:
        code = 128 + signals.number
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        pass
    except OSError as error:
        if code == ExitCode.DONE:
            code = _refused(error)
    # What could not be written is told already: Python must not complain of it at its exit.
    _let_go(sys.stdout)
    signals.over()
    return code


def _leave(number: int) -> NoReturn:
    """The main thread still waits for something: the process ends without it."""

    def speak() -> None:
        _interrupted()
        _let_go(sys.stdout)

    # Whoever holds a stream may wait for its reader.
    speaker = threading.Thread(target=speak, daemon=True)
    speaker.start()
    speaker.join(_FLUSH_SECONDS)
    os._exit(128 + number)


def _code(load: Callable[[], Callable[[], object]], signals: Signals) -> int:
    try:
        import click

        try:
            program = load()
            # Until here a signal ended the process by itself: there was nothing to clean up.
            signals.begin()
            program()
            return ExitCode.DONE
        except SystemExit as error:
            # A verb whose work has a code of its own.
            return int(error.code or 0)
        except click.ClickException as error:
            _show(error)
            return ExitCode.BAD_INPUT
        except (click.Abort, Stopped):
            return _interrupted()
        except RocmImagesError as error:
            # A sentence names the command that helps; installed, that has another name.
            _say(str(error).replace("python build.py", COMMAND))
            return error.exit_code
    except KeyboardInterrupt:
        return _interrupted()
    except BrokenPipeError:
        # `build.py plan | head`: the reader has enough.
        return ExitCode.DONE
    except MemoryError:
        _say("there is not enough memory: give it more, or ask for less at once (--jobs 1)")
        return ExitCode.SYSTEM_REFUSED
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package == "rocm_images":
            return _defect(error)
        _say(f"the Python package {package} is missing: {_INSTALL}")
        return ExitCode.ENGINE_UNUSABLE
    except Exception as error:
        if isinstance(error, OSError) and error.errno in REFUSALS:
            return _refused(error)
        if type(error).__module__.partition(".")[0] in _OF_THE_ENGINE:
            _say(f"the Docker Engine failed ({error}): see whether it still runs")
            return ExitCode.ENGINE_UNUSABLE
        return _defect(error)


def _interrupted() -> ExitCode:
    _say("interrupted")
    return ExitCode.INTERRUPTED


def _refused(error: OSError) -> ExitCode:
    place = f"{error.filename}: " if error.filename else ""
    _say(f"{place}the system refuses: {error.strerror}: {REFUSALS.get(error.errno or 0, '')}")
    return ExitCode.SYSTEM_REFUSED


def _defect(error: Exception) -> ExitCode:
    """What nobody foresaw: the traceback goes into a file that can be attached to a report."""
    text = "".join(traceback.format_exception(error))
    words = " ".join(map(repr, sys.argv[1:]))
    report = f"{PROGRAM} {__version__}, Python {sys.version}\narguments: {words}\n\n{text}"
    last = masked(f"{type(error).__name__}: {error}").splitlines()[0][:300]
    name = ""
    try:
        number, name = tempfile.mkstemp(prefix="rocm-images-defect-", suffix=".txt")
        with os.fdopen(number, "w", errors="backslashreplace") as file:
            file.write(masked(report))
        where = f"report it with {name}, which says where"
    except OSError as refused:
        if name:
            Path(name).unlink(missing_ok=True)
        where = f"report it; where it happened could not be written ({refused.strerror})"
    _say(f"this is a defect of {PROGRAM} ({last}): {where}")
    return ExitCode.DEFECT


def _say(sentence: str) -> None:
    try:
        print(f"{PROGRAM}: {masked(shown(sentence))}", file=sys.stderr, flush=True)
    except (OSError, UnicodeError):
        _let_go(sys.stderr)


def _show(error: click.ClickException) -> None:
    """Usage, and what is wrong with it, as click shows it."""
    text = io.StringIO()
    error.show(text)
    try:
        print(masked(shown(text.getvalue())), end="", file=sys.stderr, flush=True)
    except (OSError, UnicodeError):
        _let_go(sys.stderr)


def _let_go(stream: TextIO) -> None:
    """Nothing that is still held back for a stream can fail."""
    try:
        stream.flush()
    except (OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
