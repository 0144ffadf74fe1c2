"""Evidence: what a smoke test found in one image, on what device, bound to the image's id."""

from __future__ import annotations

import datetime
import enum
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rocm_images.engine.run_flags import AS_DEPLOYED
from rocm_images.files import write_json
from rocm_images.foreign import document_of
from rocm_images.masking import masked, masked_document
from rocm_images.plan.cells import Cell
from rocm_images.servers import SERVERS
from rocm_images.smoke.shape import Document, fits

SCHEMA = 1
SEAL = "seal"
EMULATED_GPU = "Emulated GPU"
"""How the names of the emulator's devices begin."""


class Level(str, enum.Enum):
    """What an image was tested on. Each level is a claim: none may be given for a lower one."""

    STATIC = "static"
    """No device: what the image holds and says of itself."""
    STAND_IN = "stand-in"
    """The graph probe on our imitation of HIP: probe and pipeline work; nothing about ROCm."""
    EMULATED = "emulated"
    """The graph probe on the image's own HIP runtime, on emulated GPUs: what that host code does
    with captures and graphs. No GPU, driver, RCCL or kernel of a server, and no memory ordering."""
    GPU = "gpu"
    """The graph probe on a real GPU."""
    SERVE = "serve"
    """The server itself, decoding with captured graphs, on a real GPU."""

    def __str__(self) -> str:
        return self.value

    def reaches(self, other: Level) -> bool:
        """Whether this level is at least the other one."""
        order = list(Level)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True)
class Evidence:
    """The outcome of one smoke test.

    `probe` is what `graph-probe run --json` printed, or None. `serve` is what `graph-probe serve
    --json` printed, `{"not_run": why}`, or None where it was not asked for.
    """

    cell: str
    image_id: str
    level: Level
    passed: bool
    tests_passed: int
    tests_failed: int
    failures: tuple[str, ...]
    seconds: float
    date: str
    tests: str
    """A digest of the tests that were run."""
    probe: Mapping[str, Any] | None
    serve: Mapping[str, Any] | None = None
    hip_runtime: str | None = None
    """Whose HIP runtime a rehearsed image says it has; None for an image that says nothing."""
    emulator: str | None = None
    """The program of another emulator than ours, by its name and SHA-256."""
    ran_as: str | None = None
    """The flags of `docker run` that stand for what the container was given on a GPU; None where it
    had none, and in evidence from before this was recorded."""

    @classmethod
    def read(cls, folder: Path, image_id: str) -> Evidence | None:
        """The evidence of an image, or None where there is none that can be read."""
        try:
            document = document_of(evidence_path(folder, image_id))
        except (OSError, ValueError):
            return None
        found = cls.of_document(document)
        return found if found and found.image_id == image_id else None

    @classmethod
    def of_document(cls, document: Any) -> Evidence | None:
        """The evidence that a JSON document holds, or None where it holds none of this schema."""
        try:
            fields = dict(document)
            if fields.pop(SEAL) != seal_of(fields) or not fits(Document, fields):
                return None
            del fields["schema"]
            fields["level"] = Level(fields["level"])
            fields["failures"] = tuple(fields["failures"])
            return cls(**fields)
        except (ValueError, KeyError, TypeError):
            return None

    @property
    def document(self) -> dict[str, object]:
        """The evidence as a JSON document."""
        document = {
            "schema": SCHEMA,
            **asdict(self),
            "level": str(self.level),
            "failures": list(self.failures),
        }
        return {**document, SEAL: seal_of(document)}

    @classmethod
    def of(
        cls,
        cell: Cell,
        image_id: str,
        *,
        device: Level,
        passed: int,
        failures: tuple[str, ...],
        seconds: float,
        tests: str,
        probe: Mapping[str, Any] | None,
        serve: Mapping[str, Any] | None = None,
        hip_runtime: str | None = None,
        emulator: str | None = None,
    ) -> Evidence:
        """Evidence of now. The level is what the probe says it ran on, never what was hoped for."""
        return cls(
            cell=cell.name,
            image_id=image_id,
            level=level_of(device, probe, serve),
            passed=passed > 0 and not failures,
            tests_passed=passed,
            tests_failed=len(failures),
            failures=tuple(masked(one) for one in failures),
            seconds=round(seconds, 1),
            tests=tests,
            date=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            # What is sealed is what is published: nothing of it may be a secret.
            probe=masked_document(probe),
            serve=masked_document(serve),
            hip_runtime=hip_runtime,
            emulator=emulator,
            ran_as=AS_DEPLOYED if device.reaches(Level.GPU) else None,
        )

    def counts_for(self, tests: str, level: Level) -> bool:
        """Whether the image passed these tests (their digest), on that level or a higher one."""
        passed = self.passed and self.tests == tests and self.as_deployed
        return passed and self.level.reaches(level)

    @property
    def as_deployed(self) -> bool:
        """Whether a GPU showed this, if one did, in a container as deployments get it."""
        return self.ran_as == AS_DEPLOYED or not self.level.reaches(Level.GPU)

    @property
    def devices(self) -> str:
        """The devices that the probe ran on, as `2 x gfx942`."""
        found = (self.probe or {}).get("devices") or []
        names = [str(device["gfx"]) for device in found]
        return ", ".join(f"{names.count(n)} x {n}" for n in dict.fromkeys(names)) or "none"

    @property
    def runtime(self) -> str:
        """The HIP runtime that was really loaded."""
        runtime = (self.probe or {}).get("runtime") or {}
        return str(runtime.get("version_text") or "-")

    @property
    def measured(self) -> str:
        """Whose HIP runtime was measured, and the first digits of its SHA-256."""
        runtime = (self.probe or {}).get("runtime")
        if not runtime:
            return "-"
        if runtime.get("is_stand_in", True):
            return "our imitation"
        whose = self.hip_runtime or "the image's own"
        digest = str(runtime.get("sha256") or "")[:12] or "not known"
        return f"{whose}, sha256 {digest}"

    @property
    def replay(self) -> str:
        """The replay verdict."""
        return str(((self.probe or {}).get("replay") or {}).get("verdict") or "-")

    @property
    def capture(self) -> str:
        """Whether captures survive a watchdog, with the bugs that it shows where not."""
        capture = (self.probe or {}).get("capture") or {}
        bugs = capture.get("bugs") or []
        said = str(capture.get("verdict") or "-")
        verdict = {"safe": "survives", "unsafe": "killed"}.get(said, said)
        return f"{verdict} (bugs {' and '.join(bugs)})" if bugs else verdict

    @property
    def judgement(self) -> str:
        """The all-reduce that the image selects, and what the probe says of it."""
        judgement = (self.probe or {}).get("judgement") or {}
        return f"{judgement['all_reduce']}: {judgement['verdict']}" if judgement else "-"

    @property
    def tokens_per_second(self) -> str:
        """Eager and replay of the largest batch, as `4059 eager, 9174 replay`."""
        batches = ((self.probe or {}).get("decode") or {}).get("batches") or []
        if not batches:
            return "-"
        rates = batches[-1]["tokens_per_second"]
        return f"{rates['eager']:.0f} eager, {rates['replay']:.0f} replay"

    @property
    def served(self) -> str:
        """What the server itself did, as `NAME 0.5.21: TP 1 passed (35 129 251 tokens/s)`."""
        return serve_in_words(self.serve)

    def write(self, folder: Path) -> Path:
        """Write it to `folder`; the name is the image id's hex digits.

        Raises:
            InputError: it cannot be written.
        """
        path = evidence_path(folder, self.image_id)
        write_json(path, self.document)
        return path


def evidence_path(folder: Path, image_id: str) -> Path:
    """Where the evidence of an image lies."""
    return folder / f"{image_id.removeprefix('sha256:')}.json"


def level_of(
    device: Level, probe: Mapping[str, Any] | None, serve: Mapping[str, Any] | None
) -> Level:
    """What was tested, on a machine taken for `device`; its own word for it counts, not ours."""
    if not probe or not probe.get("devices"):
        return Level.STATIC
    runtime = probe.get("runtime") or {}
    # A device named like the stand-in is one, whatever the caller took the machine for.
    if runtime.get("is_stand_in", True) or not device.reaches(Level.EMULATED):
        return Level.STAND_IN
    # The probe of an older image does not look for the emulator; its devices' names tell.
    emulated = any(str(one.get("name")).startswith(EMULATED_GPU) for one in probe["devices"])
    if runtime.get("emulator") or emulated or not device.reaches(Level.GPU):
        return Level.EMULATED
    return Level.SERVE if has_served(serve) else Level.GPU


def has_served(serve: Mapping[str, Any] | None) -> bool:
    """Whether the server passed every check at every size that was tried, and one was, on a GPU."""
    if not serve or serve.get("exit_code") != 0:
        return False
    sizes = serve.get("sizes") or []
    stand_in = (serve.get("runtime") or {}).get("is_stand_in", True)
    return bool(sizes) and not stand_in and all(size.get("passed") is True for size in sizes)


def serve_in_words(serve: Mapping[str, Any] | None) -> str:
    """The serve tier in a line; `-` where it was not asked for."""
    if serve is None:
        return "-"
    if serve.get("not_run"):
        return f"not run: {serve['not_run']}"
    sizes = serve.get("sizes") or []
    if not sizes:
        return str(serve.get("sentence") or "nothing ran")
    versions = serve.get("versions") or {}
    named = (one.distributions.get(one.name, one.name) for one in SERVERS.values())
    server = next((name for name in named if name in versions), "a server")
    version = versions.get(server, "of unknown version")
    parts = []
    for size in sizes:
        loads = size.get("graph", {}).get("loads", ())
        rates = [f"{load['tokens_per_second']:.0f}" for load in loads]
        outcome = "passed" if size["passed"] else "FAILED"
        told = f" ({' '.join(rates)} tokens/s)" if rates else ""
        parts.append(f"TP {size['tensor_parallel']} {outcome}{told}")
    return f"{server} {version}: {', '.join(parts)}"


def seal_of(document: Mapping[str, object]) -> str:
    """A checksum over a document without its seal: it shows a change, and proves no author.

    The same as image_selftest.document.seal_of, which is in the images.
    """
    content = _plain({name: value for name, value in document.items() if name != SEAL})
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _plain(value: object) -> object:
    """The same with 1 for 1.0: other programs that pass the document on write it so."""
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
