"""Asks a channel's scanner for the known vulnerabilities of images, before anything is signed.

The scanner is somebody's program: it is given the SBOM of the exact digest and nothing that signs,
its answer has a bound and a deadline, and one that fails refuses. It never means "no findings".
"""

from __future__ import annotations

import datetime
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rocm_images.errors import PublishRefused
from rocm_images.files import write_json
from rocm_images.foreign import shown_line
from rocm_images.matrix.schema import Scan
from rocm_images.publishing.findings import Finding, Judged, findings_in, judged, notes
from rocm_images.publishing.scanner_environment import environment_for
from rocm_images.registry.manifest import digest_of
from rocm_images.streams import GivenUp, TookTooLong
from rocm_images.supervisor import supervisor
from rocm_images.tables import Column, text_table
from rocm_images.telling import counted

SECONDS = 600.0
"""A scanner has so long for one image: it may have to fetch its database."""
MOST_BYTES = 32 * 1024 * 1024
"""Of an answer."""
MOST_FINDINGS = 50
"""Of one image that a refusal shows, the worst first."""
_COMPLAINT = 4096


class _ScanFailed(Exception):
    """The scanner gave no answer that counts; the text says why."""


@dataclass(frozen=True)
class Scanned:
    """One image with what a scanner found in it."""

    cell: str
    digest: str
    """By which it is published."""
    sbom: str
    """The digest of the SBOM that the scanner was given."""
    judged: Judged


@dataclass(frozen=True)
class Scanning:
    """A channel's scanner, and the day on which it is asked."""

    channel: str
    scan: Scan
    folder: Path
    """Where the scanner runs, and what of its command is relative: that of matrix.yaml."""
    today: datetime.date
    seconds: float = SECONDS
    key: str | None = None
    """The address of the key that signs, which the scanner is not to get; None: there is none."""

    def scanned(self, cell: str, digest: str, sbom: Mapping[str, Any]) -> Scanned:
        """Ask the scanner about one image.

        Args:
            cell: the image's.
            digest: by which it is published.
            sbom: of that very image; whoever gives it has compared them.

        Raises:
            PublishRefused: the scanner failed, gave no answer that can be read, or would be given
                what signs.
            Stopped: the run is being stopped.
        """
        content = json.dumps(sbom).encode()
        try:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, "sbom.cdx.json")
                path.write_bytes(content)
                words = [word.replace("{sbom}", str(path)) for word in self.scan.command]
                answer = self._answer(words)
            found = findings_in(answer, sbom)
        except (_ScanFailed, ValueError) as error:
            # Whatever it said, that nothing was found it did not say.
            raise PublishRefused(
                f"{cell}: the scanner of the channel {self.channel} gave no answer: {error}: "
                f"nothing was signed and no tag moved; mend channels.{self.channel}.scan.command "
                "or what it runs (docs/scan.md), and publish again"
            ) from None
        return Scanned(cell, digest, digest_of(content), judged(found, self.scan, self.today))

    def _answer(self, words: Sequence[str]) -> bytes:
        environment = environment_for(self.channel, self.scan, self.key, os.environ)
        name = shown_line(words[0])
        try:
            answer = supervisor.run(
                words, environment, seconds=self.seconds, most=MOST_BYTES, folder=self.folder
            )
        except OSError as error:
            raise _ScanFailed(f"{name} cannot be started ({error.strerror})") from None
        except TookTooLong:
            raise _ScanFailed(f"it has not ended after {self.seconds:g} s") from None
        except GivenUp as error:
            raise _ScanFailed(f"it gave {error}") from None
        if answer.status != 0:
            lines = answer.complaint[-_COMPLAINT:].decode(errors="replace").split("\n")
            said = next((line for line in reversed(lines) if line.strip()), "no reason")
            raise _ScanFailed(
                f"{name} ended with status {answer.status} ({shown_line(said.strip())})"
            )
        return answer.content


def check(channel: str, scan: Scan, every: Sequence[Scanned]) -> None:
    """Refuse images with findings that the channel does not allow.

    Raises:
        PublishRefused: there are some; the sentence has them as a table, and says what to do.
    """
    refused = [one for one in every if one.judged.refused]
    if not refused:
        return
    rows, more = [], 0
    for image in refused:
        rows += [_row(image, one, scan) for one in image.judged.refused[:MOST_FINDINGS]]
        more += len(image.judged.refused[MOST_FINDINGS:])
    header = ("CELL", "ID", "SEVERITY", Column.words("IN"), Column.words("ALLOWED"))
    table = text_table(header, rows)
    rest = (
        f"\nand {counted(more, 'more finding')}, in the files beside the evidence" if more else ""
    )
    bound = "no finding" if scan.at_most == "none" else f"none worse than {scan.at_most}"
    raise PublishRefused(
        f"known vulnerabilities; the channel {channel} allows {bound}: nothing was signed and no "
        f"tag moved\n{table}{rest}\nbuild on packages without them (a newer base: `lock`), or, "
        f"where one does no harm here, write it into channels.{channel}.scan.allow with why and "
        "until when, and publish again"
    )


def scan_table(every: Sequence[Scanned]) -> str:
    """One line for each image, for the report of a publication."""
    rows = [
        (
            one.cell,
            one.digest[:19],
            one.judged.worst,
            str(len(one.judged.below)),
            ", ".join(f"{found.id} until {by.until}" for found, by in one.judged.allowed) or "-",
        )
        for one in every
    ]
    header = (
        "CELL",
        Column.detail("DIGEST"),
        "WORST FOUND",
        Column.number("WITHIN BOUND"),
        Column.words("ALLOWED"),
    )
    return text_table(header, rows, elsewhere="a wider terminal has all")


def scan_notes(
    scan: Scan | None, every: Sequence[Scanned], channel: str, today: datetime.date
) -> list[str]:
    """What is to be said of what a channel allows, once its images are published."""
    return notes(scan, [one.judged for one in every], channel, today) if scan and every else []


def scan_path(folder: Path, digest: str) -> Path:
    """Where what was found in an image lies, in the folder of the evidence."""
    return folder / f"{digest.removeprefix('sha256:')}.scan.json"


def keep(folder: Path, scanning: Scanning, one: Scanned) -> Path:
    """Write what was found in an image beside its evidence, refused or not.

    Raises:
        InputError: it cannot be written.
    """
    path = scan_path(folder, one.digest)
    told = one.judged
    write_json(
        path,
        {
            "schema": 1,
            "cell": one.cell,
            "image": one.digest,
            "sbom": one.sbom,
            "channel": scanning.channel,
            "date": scanning.today.isoformat(),
            "command": list(scanning.scan.command),
            "at_most": scanning.scan.at_most,
            "passed": not told.refused,
            "refused": [asdict(each) for each in told.refused],
            "allowed": [
                {**asdict(each), "why": by.why, "until": by.until} for each, by in told.allowed
            ],
            "within_bound": [asdict(each) for each in told.below],
        },
    )
    return path


def _row(image: Scanned, one: Finding, scan: Scan) -> tuple[str, ...]:
    until = next((by.until for by in scan.allow if by.id == one.id), None)
    allowed = f"ended {until}" if until else "-"
    return image.cell, one.id, one.severity, one.place, allowed
