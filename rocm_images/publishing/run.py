"""One run of `publish` or `push`: check every repository, then publish one after the other.

With several registries a repository is one of each.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click

from rocm_images import telling
from rocm_images.build.progress import PlainLines
from rocm_images.build.site import Site
from rocm_images.build.targets import Target, targets_of, with_found
from rocm_images.catalogue import bills
from rocm_images.catalogue.signed import Signed, signed_together, write_files
from rocm_images.catalogue.support import notes_of
from rocm_images.cli.layers_asked import LayersAsked
from rocm_images.cli.options import load
from rocm_images.cli.variables import contexts_for
from rocm_images.engine.connect import Engine
from rocm_images.engine.image_store import keeps_compressed
from rocm_images.errors import RocmImagesError
from rocm_images.matrix.schema import Channel
from rocm_images.places import STATE
from rocm_images.plan.cells import Cell
from rocm_images.plan.selection import Choice, by_repository
from rocm_images.pool import Threads
from rocm_images.publishing import document, report
from rocm_images.publishing.budget import budget_table, spend
from rocm_images.publishing.candidates import Candidate, Rules
from rocm_images.publishing.catalogued import Keeper
from rocm_images.publishing.compressed import other_than_asked
from rocm_images.publishing.entries import asked_of_others, entries_of
from rocm_images.publishing.gate import channel_named
from rocm_images.publishing.scanner_environment import environment_for
from rocm_images.publishing.scanning import Scanned, scan_notes, scan_table
from rocm_images.publishing.transaction import Transaction
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.place import Place, Who, place_of
from rocm_images.registry.trust import Signer, Trust

EVIDENCE = STATE / "evidence"


@dataclass(frozen=True)
class Request:
    """What was typed after `publish` or `push`: see their options."""

    matrix_path: Path
    choice: Choice
    registries: tuple[RegistryAddress, ...]
    ca_bundle: Path | None
    attempts: int
    channel: str
    who: Who
    contexts: tuple[str, ...]
    build_args: tuple[str, ...]
    layers: LayersAsked
    dry_run: bool
    site: Site
    output: Path = STATE
    mend_catalogue: bool = False
    as_json: bool = False


@dataclass(frozen=True)
class Checked:
    """What is to be published to one repository; nothing has been written there."""

    targets: tuple[Target, ...]
    candidates: tuple[Candidate, ...]
    transaction: Transaction
    keeper: Keeper | None
    """None where no tag moves."""


@dataclass(frozen=True)
class Run:
    """What holds of every repository of a run."""

    request: Request
    channel: Channel
    cells: tuple[Cell, ...]
    """All of the matrix."""
    engine: Engine | None
    signer: Signer
    trust: Trust | None
    move_tags: bool
    documents: list[dict[str, Any]] = field(default_factory=list)
    """What is said of each repository that is done, for machines."""
    bills: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """What each published image holds, by its digest."""

    def say(self, text: str) -> None:
        """A part of the answer for people, which machines get as one object at the end."""
        if not self.request.as_json:
            click.echo(text)

    def checked(self, place: Place, targets: Sequence[Target]) -> Checked:
        """What would be published to a repository.

        Raises:
            PublishRefused: something may not be published.
            RegistryError: the registry does not answer.
            VerificationFailed: the catalogue there does not fit.
        """
        request = self.request
        rules = Rules(
            place.repository, request.channel, self.channel, EVIDENCE, place.cosign, self.trust
        )
        folder = request.matrix_path.resolve().parent
        transaction = Transaction(rules, self.engine, self.signer, PlainLines(), folder=folder)
        found = transaction.check(targets)
        if not self.move_tags:
            return Checked(tuple(targets), tuple(found), transaction, None)
        assert self.trust is not None
        keeper = Keeper(
            place.repository,
            place.cosign,
            self.trust,
            self.signer,
            targets[0].cell.server.name,
            mend=request.mend_catalogue,
        )
        # One that does not fit is said before anything is published.
        listed = keeper.check(
            {
                tag: one.published.digest if one.published else ""
                for one in found
                for tag in one.rolling
            },
            known=[
                tag + request.site.tag_suffix + self.channel.suffix
                for cell in self.cells
                if cell.repository == place.repository.name
                for tag in cell.tags
            ],
        )
        return Checked(tuple(targets), tuple(found), replace(transaction, listed=listed), keeper)

    def head(self, one: Checked) -> None:
        """Above what is said of a repository, where there are several registries: which it is."""
        if len(self.request.registries) > 1:
            self.say(f"\n{self.name(one)}")

    def name(self, one: Checked) -> str:
        """What a repository is called, with its registry where there are several."""
        repository = one.transaction.rules.repository
        several = len(self.request.registries) > 1
        return str(repository) if several else repository.name

    def tell(self, one: Checked) -> None:
        """What publishing would do; with what the channel's scanner says, which it would ask.

        Raises:
            PublishRefused: as publishing would, for what was found, or for the budget.
            VerificationFailed, RegistryError, EngineError: see Transaction.scan.
        """
        self.head(one)
        transaction, found = one.transaction, one.candidates
        planned = transaction.plan(found) if self.move_tags else []
        self.say(report.dry_run(found, planned))
        scanned = transaction.scan(found) if self.move_tags else ()
        self._tell_scanned(transaction, scanned)
        there = [(each, each.published) for each in found if each.published]
        if self.move_tags and there:
            candidates, images = zip(*there, strict=True)
            listed = transaction.listed
            spent = spend(transaction.rules, self.engine, listed, candidates, images)
            self.say(f"\n{budget_table(spent, self.channel.budget)}")
        repository = transaction.rules.repository
        self.documents.append(document.planned(repository, found, planned, scanned))

    def publish_each(self, checked: Sequence[Checked]) -> None:
        """Publish to one repository after the other, and leave here the list of what was recorded.

        Of several registries that of the first: the others list the same images.

        Raises: see `publish`; the sentence says what is published, where it is not all.
        """
        listed: list[Signed] = []
        for done, one in enumerate(checked):
            try:
                found = self.publish(one)
            except RocmImagesError as error:
                if done:
                    names = [self.name(each) for each in checked]
                    there, missing = ", ".join(names[:done]), ", ".join(names[done:])
                    verb = "published" if self.move_tags else "pushed"
                    # That it goes on when run again, or what to do, the error says itself, or the
                    # command line of a registry that did not answer.
                    error.args = (
                        f"{error}; {verb} and left so: {there}; not {verb} to the end: {missing}",
                    )
                    self._leave_what_is_there(listed, one)
                raise
            if found is not None and self._is_of_the_first_registry(one):
                listed.append(found)
        if listed:
            try:
                self._write(listed, checked[0])
            except RocmImagesError as error:
                error.args = (
                    "everything is published, with the catalogue of each repository; only the "
                    f"list in {os.path.relpath(self.request.output)} is not signed and written: "
                    f"{error}; then publish again, which does nothing but that",
                )
                raise

    def _is_of_the_first_registry(self, one: Checked) -> bool:
        # Where there is one, nobody has to ask which.
        several = self.request.registries[1:]
        return not several or one.transaction.rules.repository.address not in several

    def _leave_what_is_there(self, listed: Sequence[Signed], one: Checked) -> None:
        """Write the list of what was published before another failed, whose error is the one."""
        try:
            if listed:
                self._write(listed, one)
        except RocmImagesError as error:
            telling.step(f"note: the list of what was published is not written: {error}")

    def _write(self, listed: Sequence[Signed], one: Checked) -> None:
        """Write one signed list of what was recorded, its page, and the bills that this links.

        Raises:
            InputError: the key cannot be used, or a file cannot be written.
        """
        cosign = one.transaction.rules.cosign
        signed = signed_together(listed, cosign, self.signer)
        for digest, sbom in self.bills.items():
            bills.keep(self.request.output, digest, sbom)
        page = write_files(self.request.output, signed, trust=self.trust)
        if not self.request.as_json:
            telling.written(f"\nthe catalogue: {os.path.relpath(page)}")

    def publish(self, one: Checked) -> Signed | None:
        """Publish to one repository; returns its catalogue, None where no tag moves.

        Raises: see Transaction.run and Keeper.record.
        """
        self.head(one)
        transaction, keeper = one.transaction, one.keeper
        # Once a tag has moved, nothing but the registry is waited for until the catalogue says so.
        keeps = self.engine is None or keeps_compressed(self.engine)
        ca_bundle = transaction.rules.repository.ca_bundle
        told = asked_of_others(self.engine, one.targets, ca_bundle) if keeper else None
        publication = transaction.run(one.candidates, move_tags=self.move_tags)
        self.say(report.publication_table(publication))
        self._tell_scanned(transaction, publication.scanned)
        listed = None
        if keeper and told:
            self.say(f"\n{budget_table(publication.spent, self.channel.budget)}")
            self.say(f"\n{report.moves_table(publication.planned)}")
            entries = entries_of(transaction.rules, publication.cells, told)
            listed = keeper.record(entries)
            self.bills.update((each.image.digest, each.sbom) for each in publication.cells)
            for sentence in notes_of(entries, transaction.today()):
                telling.step(f"{telling.PROGRAM}: note: {sentence}")
        for sentence in other_than_asked(publication, keeps=keeps):
            telling.step(f"{telling.PROGRAM}: warning: {sentence}")
        self.documents.append(document.published(transaction.rules.repository, publication))
        return listed

    def _tell_scanned(self, transaction: Transaction, scanned: Sequence[Scanned]) -> None:
        if not scanned:
            return
        self.say(f"\n{scan_table(scanned)}")
        scan, today = self.channel.scan, transaction.today()
        for sentence in scan_notes(scan, scanned, self.request.channel, today):
            telling.step(f"{telling.PROGRAM}: note: {sentence}")


def run(request: Request, *, move_tags: bool) -> None:
    """Publish what was chosen, or with `move_tags` false push it.

    Raises:
        RocmImagesError: see Run; what was published before stays.
    """
    matrix, cells = load(request.matrix_path)
    matrix = request.layers.of(matrix)
    chosen = request.choice.of(matrix, cells)
    rehearsed = bool(request.site.tag_suffix)
    contexts = contexts_for(request.contexts, cells, chosen, rehearsed=rehearsed)
    channel = channel_named(matrix, request.channel)
    who = request.who
    signer = who.must_sign()
    if move_tags and channel.scan:
        # What is refused for this is so before anything is sent.
        environment_for(request.channel, channel.scan, signer.key, os.environ)
    # Who only pushes need not read what others signed.
    knows = move_tags or bool(who.sign_key or who.key or who.identity)
    if knows:
        who.check()
    engine = request.site.found_engine()
    environment = engine.environment if engine else request.site.programs()

    def asked(folder: Path) -> tuple[Sequence[tuple[str, Place]], Trust | None]:
        where = (request.ca_bundle, request.attempts, environment)
        places = [
            (name, place_of(name, registry, *where))
            for registry in request.registries or (None,)
            for name in by_repository(chosen, lambda one: one)
        ]
        return places, who.trust(places[0][1].cosign, folder) if knows else None

    with tempfile.TemporaryDirectory() as folder:
        # cosign says its version and the public key while the images are looked for.
        with Threads(1) as pool:
            asking = pool.submit(asked, Path(folder))
            targets = targets_of(
                request.site,
                request.matrix_path,
                matrix,
                chosen,
                contexts=contexts,
                build_args=request.build_args,
            )
            if engine:
                targets = with_found(engine, targets)
            places, trust = asking.result()
        this = Run(request, channel, tuple(cells), engine, signer, trust, move_tags)
        groups = by_repository(targets, lambda target: target.cell)
        checked = [this.checked(place, groups[name]) for name, place in places]
        try:
            if request.dry_run:
                for one in checked:
                    this.tell(one)
            else:
                this.publish_each(checked)
        finally:
            # Also what is there when another one fails.
            if request.as_json and this.documents:
                told = document.document(request.channel, this.documents, dry_run=request.dry_run)
                click.echo(json.dumps(told, indent=2))
