"""What each way does in a round: push, push the next release, and nodes that pull both."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from benchmarks.measure import Measurement, measure
from benchmarks.pulling.image import ABOVE_THE_BASE, BASE, CHANGED, Image
from benchmarks.pulling.node import Node
from benchmarks.pulling.registry import Registry
from benchmarks.pulling.ways import Buildx, Way

PUSH, PUSH_NEXT, COLD, DELTA = "push", "push of the next release", "cold pull", "delta pull"
RELEASE, NEXT = "1", "2"
_BASE = "vendor/base"
T = TypeVar("T")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Run:
    """One measured command, and what the registry did in it."""

    seconds: float
    peak_bytes: int
    sent_bytes: int = 0
    """Of layers and configurations, that the registry sent to it."""
    image_bytes: int = 0
    """Of all layers of the image, compressed."""


Runs = dict[str, dict[str, list[Run]]]
"""By step and way."""


@dataclass(frozen=True)
class Site:
    """Where it all happens: the engine that builds, the registry, and the nodes by their name."""

    image: Image
    environment: Mapping[str, str]
    registry: Registry
    nodes: Mapping[str, Node]

    @property
    def base(self) -> str:
        """The vendor's image."""
        return f"{self.registry.address}/{_BASE}:{RELEASE}"

    def run(self, words: Sequence[str]) -> Measurement:
        """Run a command on the engine that builds.

        Raises:
            CommandFailed: it fails.
        """
        return measure(words, self.image.context, self.environment)


def publish_base(site: Site) -> None:
    """Have the vendor's base in the registry and on the engine that builds.

    Raises:
        CommandFailed: it does not build.
    """
    if not site.image.kept_base.is_dir():
        vendor = Buildx(_BASE, lambda _: BASE, site.image.context)
        path = vendor.write("")
        output = f"--output=type=image,name={site.base},push=true"
        words = ["docker", "buildx", "build", "--provenance=false", f"--file={path}", output]
        site.registry.lay_out(None)
        site.run([*words, str(site.image.context)])
        site.registry.keep_as(site.image.kept_base)
        forget(site.environment)
    site.registry.lay_out(site.image.kept_base)
    # As an image of its own, so that no prune takes it away.
    site.run(["docker", "pull", "--quiet", site.base])


def one_round(site: Site, ways: Sequence[Way], number: int, found: Runs, say: Say) -> None:
    """Measure each way once, and add what was measured to `found`.

    Raises:
        CommandFailed: a command fails.
    """
    # Else the layers of all rounds would fill the disk.
    site.registry.lay_out(site.image.kept_base)
    for way in _beginning_with(ways, number):
        forget(site.environment, site.base)
        site.image.change(ABOVE_THE_BASE)
        _add(found, PUSH, way.name, _push(site, way, RELEASE), say)
        if way.pulled:
            site.image.change(CHANGED)
            _add(found, PUSH_NEXT, way.name, _push(site, way, NEXT), say)
    forget(site.environment, site.base)
    for name, node in site.nodes.items():
        for way in _beginning_with([way for way in ways if way.pulled], number):
            node.empty()
            _add(found, f"{COLD}{name}", way.name, _pull(site, node, way, RELEASE), say)
            _add(found, f"{DELTA}{name}", way.name, _pull(site, node, way, NEXT), say)
        node.stop()


def _push(site: Site, way: Way, tag: str) -> Run:
    site.run(way.build(site.base))
    measured = site.run(way.push(site.base, site.registry.address, tag))
    return Run(measured.seconds, measured.peak_bytes)


def _pull(site: Site, node: Node, way: Way, tag: str) -> Run:
    before = site.registry.sent_bytes()
    measured = node.pull(f"{site.registry.address}/{way.repository}:{tag}")
    sent = site.registry.sent_bytes() - before
    layers = site.registry.layers(way.repository, tag)
    return Run(measured.seconds, measured.peak_bytes, sent, sum(layers))


def _add(found: Runs, step: str, way: str, run: Run, say: Say) -> None:
    found.setdefault(step, {}).setdefault(way, []).append(run)
    sent = f", {run.sent_bytes / 1e6:.0f} MB" * bool(run.sent_bytes)
    say(f"{step}: {way}: {run.seconds:.2f} s{sent}")


def _beginning_with(every: Sequence[T], number: int) -> Iterator[T]:
    """Another one begins in each round."""
    turn = number % len(every)
    yield from (*every[turn:], *every[:turn])


def forget(environment: Mapping[str, str], kept: str = "") -> None:
    """Remove every image of these benchmarks but one, and the build cache."""
    listed = ["images", "--format={{.Repository}}:{{.Tag}}"]
    names = [name for name in _docker(listed, environment).split() if "/bench/" in name]
    if not kept:
        names += [n for n in _docker(listed, environment).split() if f"/{_BASE}:" in n]
    for name in names:
        _docker(["rmi", "--force", name], environment)
    _docker(["buildx", "prune", "--all", "--force"], environment)


def _docker(words: Sequence[str], environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        ["docker", *words], env=dict(environment), capture_output=True, text=True, check=True
    )
    return done.stdout
