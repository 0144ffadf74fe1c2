"""Reads a matrix file and reports every problem in it as `FILE:LINE:COL: sentence`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, pairwise
from pathlib import Path

from packaging.version import Version

from rocm_images.errors import MatrixError, Problem, closest, known_archs, known_versions
from rocm_images.matrix.located_model import as_written, read_model
from rocm_images.matrix.located_yaml import KeyPath
from rocm_images.matrix.schema import Matrix, Ranges, Server, Variant
from rocm_images.servers import SERVERS
from rocm_images.servers import Server as KnownServer
from rocm_images.telling import counted

MOST_CELLS = 10_000
Found = Iterator[tuple[KeyPath, str]]
"""Problems: the path of the key to blame, and a sentence."""


def read(path: Path, check_cells: Callable[[Matrix], Found]) -> Matrix:
    """Read and validate a matrix file.

    Args:
        path: the file.
        check_cells: finds the problems of what the matrix expands to; asked where nothing is
            wrong with what it excludes.

    Raises:
        InputError: the file cannot be read.
        MatrixError: the file can be read and something in it is wrong; it lists every problem.
    """
    hint = "name an existing file with --matrix, or begin one by `python build.py init`"
    matrix, document = read_model(path, Matrix, MatrixError, hint=hint)
    problems = [
        Problem(*document.position(as_written(document.data, where), key=True), sentence)
        for where, sentence in _check(matrix, check_cells)
    ]
    if problems:
        raise MatrixError(path, problems)
    return matrix


def _check(matrix: Matrix, check_cells: Callable[[Matrix], Found]) -> Found:
    """Problems that no single value shows."""
    servers = [*_check_servers(matrix), *_check_variants(matrix)]
    yield from servers
    yield from _check_names(matrix)
    yield from _check_channels(matrix)
    yield from _check_hip_builds(matrix)
    cells = len(matrix.servers) * len(matrix.archs) * len(matrix.bases)
    if cells > MOST_CELLS:
        more = f"{counted(cells, 'cell')}, more than {MOST_CELLS}"
        sentence = f"with its bases and servers this makes {more}"
        yield ("archs",), f"{sentence}: keep a matrix for each group of them"
        return
    exclusions = list(_check_exclusions(matrix))
    yield from exclusions
    if not (servers or exclusions):
        yield from check_cells(matrix)


def _check_servers(matrix: Matrix) -> Found:
    marked = [name for name, server in matrix.servers.items() if server.default]
    for name in marked[1:]:
        sentence = f"{name} and {marked[0]} are both the default: choose one"
        yield ("servers", name, "default"), sentence
    for name, server in matrix.servers.items():
        if name not in SERVERS:
            sentence = f"unknown inference server {name!r}: {closest(name, SERVERS)}"
            yield ("servers", name), sentence
        else:
            yield from _check_recipe(SERVERS[name], server)
        for both in sorted(server.sources.keys() & server.downloads.keys()):
            sentence = (
                f"{both!r} is a source too, and both would be the stage {both}-src: rename it"
            )
            yield ("servers", name, "downloads", both), sentence
        for index, source in enumerate(server.sources.get(name, ())):
            if not re.fullmatch(r"\d[\w.]{0,63}", source.version, re.ASCII):
                yield (
                    ("servers", name, "sources", name, index, "version"),
                    f"{source.version!r} makes no tag: write it without + and !, and without a v "
                    "before it",
                )


def _check_recipe(known: KnownServer, server: Server) -> Found:
    """What the recipe of a server takes by name."""
    for source in sorted(known.distributions.keys() - server.sources.keys()):
        sentence = f"the source {source!r}, which its recipe builds, is missing here: add it"
        yield ("servers", known.name, "sources"), sentence
    for download in known.toolchains:
        variants = server.downloads.get(download, ())
        if not variants:
            sentence = f"the download {download!r}, which its recipe builds with, is missing"
            yield ("servers", known.name), sentence
        for index, variant in enumerate(variants):
            if variant.toolchain is None:
                sentence = "the toolchain, which its recipe builds with, is missing here: add it"
                yield ("servers", known.name, "downloads", download, index), sentence
    if known.has_extra and not server.extra:
        sentence = "the extra, whose requirements its recipe installs, is missing here: add it"
        yield ("servers", known.name), sentence


def _check_variants(matrix: Matrix) -> Found:
    """Variants that no cell can take."""
    for name, server in matrix.servers.items():
        named: dict[KeyPath, Sequence[Variant]] = {("extra",): server.extra or ()}
        for kind in ("sources", "downloads", "packages", "env"):
            named |= {(kind, key): variants for key, variants in getattr(server, kind).items()}
        for where, variants in named.items():
            place = ("servers", name, *where)
            for index, variant in enumerate(variants):
                if any(earlier.fits == Ranges() for earlier in variants[:index]):
                    yield (*place, index), "never taken: a variant before it fits every cell"
                for position, arch in enumerate(variant.fits.archs):
                    if arch not in matrix.archs:
                        sentence = f"unknown arch {arch!r}: {_archs(matrix)}"
                        yield (*place, index, "for", "archs", position), sentence
                if variant.fits.server and where == ("sources", name):
                    sentence = "never taken: this is what the version of the server is chosen by"
                    yield (*place, index, "for", "server"), sentence


def _check_names(matrix: Matrix) -> Found:
    for first, second in combinations(matrix.bases, 2):
        if Version(first) == Version(second):
            yield ("bases", second), f"{second} is the same version as {first}: keep one"
    recommended = [name for name, base in matrix.bases.items() if base.recommended]
    for name in recommended[1:]:
        sentence = f"{name} and {recommended[0]} are both recommended: choose one"
        yield ("bases", name, "recommended"), sentence
    seen: dict[str, str] = {}
    for index, advisory in enumerate(matrix.advisories):
        if advisory.id in seen:
            yield ("advisories", index, "id"), f"the advisory {advisory.id!r} stands here twice"
        seen[advisory.id] = advisory.id
        affected, place = advisory.affected, ("advisories", index, "affected")
        # Those of a server too that this matrix has not: what is known of it is for later.
        built = {name for server in matrix.servers.values() for name in server.sources}
        built |= {name for server in SERVERS.values() for name in server.distributions}
        for key, kind, given, known in (
            ("archs", "arch", affected.archs, matrix.archs),
            ("servers", "inference server", affected.servers, SERVERS),
            ("releases", "inference server", affected.releases, SERVERS),
            ("sources", "source", affected.sources, built),
        ):
            for position, name in enumerate(given):
                if name not in known:
                    where = position if isinstance(given, tuple) else name
                    hint = _archs(matrix) if kind == "arch" else closest(name, known)
                    yield (*place, key, where), f"unknown {kind} {name!r}: {hint}"


def _archs(matrix: Matrix) -> str:
    return known_archs({name: arch.gpus for name, arch in matrix.archs.items()})


def _check_channels(matrix: Matrix) -> Found:
    owners: dict[str, str] = {}
    for name, channel in matrix.channels.items():
        other = owners.setdefault(channel.suffix, name)
        if other != name:
            sentence = f"{name} and {other} would move the same tags: give one another suffix"
            yield ("channels", name), sentence


def _check_hip_builds(matrix: Matrix) -> Found:
    spans = {
        hip: (Version(build.first), Version(build.last)) for hip, build in matrix.hip_builds.items()
    }
    for hip, (first, last) in spans.items():
        if first > last or {first.release[:2], last.release[:2]} != {Version(hip).release[:2]}:
            sentence = f"first to last is to be a range of releases of ROCm {hip.rsplit('.', 1)[0]}"
            yield ("hip_builds", hip, "first"), sentence
    for (one, (_, last)), (other, (first, _)) in pairwise(sorted(spans.items(), key=_by_release)):
        if first <= last:
            yield ("hip_builds", other, "first"), f"{one} has ROCm {first} already: keep one"


def _by_release(span: tuple[str, tuple[Version, Version]]) -> tuple[Version, Version]:
    return span[1]


def _check_exclusions(matrix: Matrix) -> Found:
    taken: set[tuple[str, str, str]] = set()
    for index, entry in enumerate(matrix.exclude):
        unknown = False
        for key, name, known, hint in (
            ("server", entry.server, matrix.servers, closest),
            ("arch", entry.arch, matrix.archs, lambda *_: _archs(matrix)),
            ("base", entry.base, matrix.bases, known_versions),
        ):
            if name is not None and name not in known:
                unknown = True
                sentence = f"excludes nothing: unknown {key} {name!r}, {hint(name, known)}"
                yield ("exclude", index, key), sentence
        if entry.server is entry.arch is entry.base is None:
            yield ("exclude", index), "excludes nothing: name a server, an arch or a base"
        elif not unknown:
            here = {
                (server, arch, base)
                for server in matrix.servers
                for arch in matrix.archs
                for base in matrix.bases
                if entry.server in (None, server)
                if entry.arch in (None, arch) and entry.base in (None, base)
            }
            if here <= taken:
                yield ("exclude", index), "excludes nothing: earlier entries exclude these cells"
            taken |= here
