"""An image that a registry and an engine have, and a channel with a scanner; all made up."""

from __future__ import annotations

import datetime
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from made_up_scanner import TODAY, answer, rated, scanner

from made_up_publication import There, already_there
from rocm_images.build.progress import PlainLines
from rocm_images.build.targets import Target
from rocm_images.matrix.schema import Scan
from rocm_images.publishing.candidates import Candidate
from rocm_images.publishing.transaction import Phase, Publication, Transaction
from rocm_images.registry.trust import Signer

NONE = answer()
BAD = answer(rated("CVE-2099-0001", "critical"))


class Site:
    """One image that a registry and an engine have, and a channel with a scanner."""

    def __init__(self, target: Target, folder: Path, there: There, moved: list[str]) -> None:
        self.folder, self.there, self.moved = folder, there, moved
        self.cosign = there.cosign
        transaction, self.candidate = already_there(target, folder, there)
        self.rules, self.given = transaction.rules, self.candidate.target
        self.image = there.tags[target.immutable_tag]
        self.phases: list[Phase] = []

    @property
    def reference(self) -> str:
        return self.there.reference(self.image.digest)

    @property
    def asked_about(self) -> dict[str, Any] | None:
        """The SBOM that the scanner was given; None where it was not asked."""
        path = self.folder / "given.json"
        return json.loads(path.read_bytes()) if path.exists() else None

    @property
    def elsewhere(self) -> Candidate:
        """The same where only the registry has the image."""
        return replace(self.candidate, target=replace(self.candidate.target, found=None))

    def publish(
        self,
        said: bytes,
        candidate: Candidate | None = None,
        *,
        move_tags: bool = True,
        **more: Any,
    ) -> Publication:
        work = self.work(said, **more)
        return work.run([candidate or self.candidate], move_tags=move_tags)

    def work(
        self, said: bytes, *, today: datetime.date = TODAY, script: str = "", **scan: Any
    ) -> Transaction:
        """What publishes to a channel with a scanner that answers so."""
        (self.folder / "answer.json").write_bytes(said)
        program = scanner(self.folder, f'cp "$1" given.json; {script}\ncat answer.json')
        command = {"command": [str(program), "{sbom}"], "at_most": "medium"}
        asked = Scan.model_validate({**command, **scan})
        channel = self.rules.channel.model_copy(update={"scan": asked})
        rules = replace(self.rules, channel=channel)
        return Transaction(
            rules,
            None,
            Signer("key"),
            PlainLines(),
            self.phases.append,
            folder=self.folder,
            today=lambda: today,
        )
