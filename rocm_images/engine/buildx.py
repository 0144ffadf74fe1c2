"""Runs one `docker buildx build` and reads its progress."""

from __future__ import annotations

import io
import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rocm_images import telling
from rocm_images.engine.build_cache import BuildCache
from rocm_images.engine.buildx_program import buildx_command, with_settings
from rocm_images.engine.connect import Engine
from rocm_images.engine.network import proxy_arguments
from rocm_images.engine.patience import Patience
from rocm_images.files import growing
from rocm_images.masking import lines_of, masked
from rocm_images.matrix.schema import Layers
from rocm_images.recipe.compression import output
from rocm_images.supervisor import supervisor

_EXPORTS_CACHE = "exporting cache to registry"
_VERTEX = re.compile(rf"#(\d+) (\[[^\]]+\] .*|exporting to image|{_EXPORTS_CACHE})$")
_CACHE = re.compile(r"#(\d+) writing cache (?:image )?manifest (sha256:[0-9a-f]{64})(?: .*)?$")
_OUTPUT = re.compile(r"#(\d+) (?:\d+\.\d+ )?(.*)$")
_ERROR = re.compile(r"#(\d+) ERROR: (.*)$")
# What nearly every step of the recipe begins with: nobody can tell two of them apart by it.
COMMON_WORDS = re.compile(r"--mount=\S+|\. /run/clock/clock +&& ")
# https://docs.docker.com/reference/dockerfile/#buildkit-built-in-build-args
_APART = "BUILDKIT_CACHE_MOUNT_NS=replaced"
_TAIL_LINES = 20
_SHOWN_CHARACTERS = 100


@dataclass(frozen=True)
class Buildx:
    """The command that runs buildx, and how it reaches its engine."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    has_bridge: bool
    """Whether build steps have a network of their own; without one they use the host's."""
    patience: Patience


def find_buildx(engine: Engine) -> Buildx:
    """The buildx that works with an engine.

    Raises:
        EngineError: it is missing or too old.
    """
    return Buildx(
        buildx_command(engine.environment),
        with_settings(engine.environment),
        _has_bridge(engine),
        engine.patience,
    )


def _has_bridge(engine: Engine) -> bool:
    client = engine.client()
    try:
        return any(network.name == "bridge" for network in client.networks.list(names=["bridge"]))
    finally:
        client.close()


@dataclass
class PlainProgress:
    """Reads the lines of `--progress=plain`: the step at work, and what failed and how."""

    step: str = ""
    failed_step: str = ""
    error: str = ""
    stages: set[str] = field(default_factory=set)
    """Those of which a step has begun that was in no cache."""
    _caches: set[str] = field(default_factory=set)
    _names: dict[str, str] = field(default_factory=dict)
    _tails: dict[str, deque[str]] = field(default_factory=dict)
    _failed: str = ""
    _begun: str = ""
    _last: deque[str] = field(default_factory=lambda: deque(maxlen=_TAIL_LINES))

    @property
    def cache(self) -> str:
        """The digest of the cache that the build left in a registry; "" also where it is unclear.

        A step prints what it likes, and what is told here is signed.
        """
        return next(iter(self._caches)) if len(self._caches) == 1 else ""

    def feed(self, line: str) -> bool:
        """Take one line without its end; returns whether it began another step."""
        self._last.append(line)
        # The line after a step's name says whether the step is taken from the cache.
        begun, self._begun = self._begun, ""
        if begun and not line.endswith(" CACHED") and begun != self.step:
            self.step = begun
            self.stages.add(begun.removeprefix("[").split()[0])
            began = True
        else:
            began = False
        self._read(line)
        return began

    def _read(self, line: str) -> None:
        if match := _VERTEX.match(line):
            number, name = match.groups()
            # A vertex has one name, which is said before anything of it.
            self._names.setdefault(number, name)
            # Loading the Dockerfile and the contexts takes no time and tells a reader nothing.
            if not name.startswith(("[internal]", "[context ")):
                self._begun = _shown(name)
        elif match := _ERROR.match(line):
            self._failed, self.error = match.groups()
            self.failed_step = _shown(self._names.get(self._failed, ""))
        elif (match := _CACHE.match(line)) and self._names.get(match[1]) == _EXPORTS_CACHE:
            self._caches.add(match[2])
        elif match := _OUTPUT.match(line):
            number, text = match.groups()
            # What a terminal shows of a line that begins again: a progress bar.
            text = text.rstrip("\r").rpartition("\r")[2]
            self._tails.setdefault(number, deque(maxlen=_TAIL_LINES)).append(text)
        elif line.startswith("ERROR: ") and not self.error:
            self.error = line.removeprefix("ERROR: ")

    def tail(self) -> list[str]:
        """The end of the failed step's output, or of the whole log when no step failed."""
        return list(self._tails.get(self._failed) or self._last)


def _shown(name: str) -> str:
    """A step's name in one short line: the full one is in the log."""
    text = " ".join(COMMON_WORDS.sub("", name).split())
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 3] + "..."


@dataclass(frozen=True)
class BuildRequest:
    """One image to build: everything that the command line of buildx needs."""

    dockerfile: Path
    directory: Path
    references: tuple[str, ...]
    contexts: Mapping[str, str]
    """Named contexts: they replace the base image or a source stage of the same name."""
    labels: Mapping[str, str]
    log: Path
    builder: str | None = None
    build_args: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Path] = field(default_factory=dict)
    """Files that build steps can read, by id; they are in no layer."""
    network: str | None = None
    no_cache: bool = False
    """Whether every step runs, also one that ran before."""
    pull: bool = False
    """Whether the base is asked for in its registry, also where the engine has it."""
    cache: BuildCache | None = None
    target: str | None = None
    replaced: bool = False
    """Whether something stands for its base or a source: then its steps have cache mounts apart
    from those of other builds, into which whatever they run could write."""
    layers: Layers | None = None
    """How they are compressed; None: as BuildKit does it, for an image that nobody publishes."""
    annotations: Mapping[str, str] = field(default_factory=dict)
    """Of the manifest, where `layers` are given and their kind of manifest has any."""


def command(buildx: Buildx, request: BuildRequest) -> list[str]:
    """The buildx command line for a request."""
    words = [*buildx.command, "build", "--progress=plain", f"--file={request.dockerfile}"]
    # An attestation of the engine holds the time of the build, and so would the image's digest.
    words.append("--provenance=false")
    # A builder of its own keeps the image to itself unless told to load it.
    if request.builder:
        words.append(f"--builder={request.builder}")
    if request.layers:
        exporter = "docker" if request.builder else "image"
        words.append(f"--output={output(request.layers, exporter, request.annotations)}")
    elif request.builder:
        words.append("--load")
    network = request.network or (None if buildx.has_bridge else "host")
    if network:
        words.append(f"--network={network}")
    words += ["--no-cache"] if request.no_cache else []
    words += ["--pull"] if request.pull else []
    if request.target:
        words.append(f"--target={request.target}")
    words += [f"--tag={reference}" for reference in request.references]
    words += [f"--build-context={name}={source}" for name, source in request.contexts.items()]
    words += [f"--build-arg={name}={value}" for name, value in request.build_args.items()]
    if request.replaced:
        words.append(f"--build-arg={_APART}")
    # By name alone: buildx reads the value itself, so that no password is on a command line.
    words += [f"--build-arg={name}" for name in proxy_arguments(buildx.environment)]
    words += request.cache.arguments(request.layers) if request.cache else ()
    words += [f"--secret=id={name},src={path}" for name, path in request.secrets.items()]
    words += [f"--label={name}={value}" for name, value in request.labels.items()]
    return [*words, str(request.directory)]


def run(
    buildx: Buildx,
    request: BuildRequest,
    on_step: Callable[[str], None],
) -> tuple[int, PlainProgress]:
    """Build, with every line in the request's log; returns the exit status and what was read.

    Raises:
        Stopped: the run is being stopped.
        EngineError: the engine has not answered for a minute.
        InputError: the log cannot be written.
        OSError: buildx cannot be started.
    """
    words = command(buildx, request)
    telling.decided(f"buildx builds {request.dockerfile}; log: {request.log}")
    return follow(words, buildx, request.log, on_step)


def follow(
    words: Sequence[str],
    buildx: Buildx,
    log: Path,
    on_step: Callable[[str], None],
) -> tuple[int, PlainProgress]:
    """Run a command that prints plain BuildKit progress; see `run`."""
    progress = PlainProgress()
    with growing(log) as append:
        append(masked(f"$ {' '.join(words)}"))
        with supervisor.child(words, buildx.environment, text=False) as process:
            assert process.stdout is not None
            # BuildKit ends a line with \n and nothing else: after the \r of a step's output,
            # anything could look like a line of BuildKit's own.
            output = io.TextIOWrapper(process.stdout, "utf-8", "replace", newline="\n")
            for line in buildx.patience.each(lines_of(output)):
                append(line)
                if progress.feed(line):
                    on_step(progress.step)
    return process.returncode, progress
