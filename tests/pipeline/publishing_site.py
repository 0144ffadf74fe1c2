"""Publishes the rehearsed images to a test's registry, as a user does and watched from inside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import four_cells

from conftest import PROJECT, Answer, Keys, run_build_py
from registry import Registry
from rehearsal.stand_ins import Rehearsal
from rocm_images.build.targets import targets_of, with_found
from rocm_images.catalogue.schema import Catalogue
from rocm_images.catalogue.signed import as_in, signed_in
from rocm_images.engine.connect import Engine
from rocm_images.plan.cells import cells_of
from rocm_images.plan.load import load
from rocm_images.publishing.candidates import Rules
from rocm_images.publishing.transaction import Phase, Transaction
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.client import Repository
from rocm_images.registry.cosign import Cosign
from rocm_images.registry.retries import Retries
from rocm_images.registry.trust import Signer, Trust
from rocm_images.servers import DEFAULT

CHANNEL = ("--channel", "preview", "--rehearse")
ROLLING = [
    f"v0.5.21-{middle}-rehearsal-preview"
    for middle in ("rocm720-mi30x", "rocm722-mi30x", "mi30x")
    + ("rocm720-mi35x", "rocm722-mi35x", "mi35x")
]
QUICK = Retries(attempts=2, first_wait=0.01, longest_wait=0.02)


def publish(keys: Keys, registry: str, *words: str, verb: str = "publish") -> Answer:
    return run_build_py(
        *(verb, *CHANNEL, "--registry", registry, "--sign-key", str(keys.ours), *words),
        environment=keys.environment,
    )


def tags(registry: Registry) -> dict[str, str | None]:
    """Where each rolling tag is."""
    repository = Repository(RegistryAddress.parse(registry.address), "sglang-rocm", retries=QUICK)
    return {tag: repository.digest_of(tag) for tag in ROLLING}


def listed(keys: Keys, registry: str) -> Catalogue:
    """The catalogue that a registry has, verified."""
    address = RegistryAddress.parse(registry)
    repository = Repository(address, "sglang-rocm", retries=QUICK)
    cosign = Cosign(address, keys.environment)
    found = signed_in(repository)
    assert found is not None
    return as_in(repository, found.verified(cosign, Trust(key=str(keys.our_public)), "it"))


class Watched:
    """A progress that calls back at each step of a cell."""

    def __init__(self, on_step: Callable[[str], None]) -> None:
        self._on_step = on_step

    def step(self, _: str, text: str, far: str = "") -> None:
        self._on_step(f"{text}: {far}" if far else text)

    def done(self, cell: str, text: str) -> None: ...

    def __enter__(self) -> Watched:
        return self

    def __exit__(self, *_: object) -> None: ...


def transaction(
    registry: str,
    engine: Engine,
    keys: Keys,
    folder: Path,
    on_phase: Callable[[Phase], None],
    on_step: Callable[[str], None] = lambda text: None,
) -> Callable[[], Any]:
    """A publication of the default server's four cells, in this process, that can be watched."""
    path = four_cells.PATH
    matrix = load(path)
    rehearsal = Rehearsal()
    cells = [cell for cell in cells_of(matrix) if cell.server is DEFAULT]
    inputs = with_found(rehearsal.engine(), targets_of(rehearsal, path, matrix, cells))
    address = RegistryAddress.parse(registry)
    repository = Repository(address, "sglang-rocm", retries=QUICK)
    cosign = Cosign(address, keys.environment)
    channel = matrix.channels["preview"]
    evidence = PROJECT / "build" / "evidence"
    signer = Signer(str(keys.ours))
    trust = cosign.public_key(signer, folder)
    rules = Rules(repository, "preview", channel, evidence, cosign, trust)
    work = Transaction(rules, engine, signer, Watched(on_step), on_phase)
    return lambda: work.run(work.check(inputs), move_tags=True)
