"""Expands a matrix into cells: an image to build for each server, arch and base, fully resolved.

Everything later in the pipeline reads cells; nothing later decides a setting.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from packaging.version import Version

from rocm_images.matrix.schema import (
    Advisory,
    Download,
    Extra,
    Image,
    Matrix,
    Package,
    Sdk,
    Setting,
    Source,
)
from rocm_images.matrix.schema import Server as ServerEntry
from rocm_images.plan.advisories import captures_are_unsafe, set_by
from rocm_images.plan.variants import AnyVariant, Versions, first_that_fits, is_affected
from rocm_images.servers import SERVERS, Server


@dataclass(frozen=True)
class EnvironmentSetting:
    """One environment variable of an image and why it has its value."""

    name: str
    value: str
    why: str
    references: tuple[str, ...]
    advisory: str | None
    """The id of the first advisory that sets it; None for a setting that every image gets."""
    also: tuple[str, ...] = ()
    """The ids of others that set it to the same."""


@dataclass(frozen=True)
class Cell:
    """One image of the matrix, named `SERVER-942-rocm7.2.0`."""

    name: str
    image: Image
    """What all images of the matrix say of themselves."""
    server: Server
    title: str
    """Of the images of this server."""
    arch: str
    gfx: str
    family: str
    gpus: tuple[str, ...]
    rocm: str
    python: str
    torch: str
    sdk: Sdk | None
    """What a base that brings no ROCm gets."""
    recommended: bool
    base_image: str
    epoch: int
    """What a build writes carries this date, in seconds since 1970: SOURCE_DATE_EPOCH."""
    repository: str
    tags: tuple[str, ...]
    """Rolling tags, the most specific first."""
    sources: Mapping[str, Source]
    downloads: Mapping[str, Download]
    extra: Extra | None
    packages: Mapping[str, Package]
    settings: tuple[EnvironmentSetting, ...]
    advisories: tuple[Advisory, ...]
    all_reduce_reason: str
    supported_until: str | None = None
    """The last day on which its base is supported, where the matrix says one."""
    supported_why: str | None = None

    @property
    def words(self) -> str:
        """What names this cell on a command line."""
        return f"--server {self.server.name} --arch {self.arch} --base {self.rocm}"

    @property
    def version(self) -> str:
        """Of its server."""
        return self.sources[self.server.name].version

    @property
    def versions(self) -> dict[str, str]:
        """Python distribution -> version, of the server and of what is built for it."""
        built = self.server.distributions
        return {built[name]: one.version for name, one in self.sources.items() if name in built}

    @property
    def pins(self) -> dict[str, str]:
        """What each source stage holds, unless a named context replaces it."""
        trees = {f"{name}-src": f"{one.git}#{one.ref}" for name, one in self.sources.items()}
        files = {f"{name}-src": f"{x.url}@sha256:{x.sha256}" for name, x in self.downloads.items()}
        return trees | files

    @property
    def warnings(self) -> tuple[Advisory, ...]:
        """Advisories that this image can only warn of: another base is free of them."""
        return tuple(
            advisory
            for advisory in self.advisories
            if advisory.base_at_least and Version(self.rocm) < Version(advisory.base_at_least)
        )

    @property
    def capture_guard(self) -> bool:
        """Whether the image carries the capture guard, which is off until asked for."""
        return self.captures_are_unsafe

    @property
    def captures_are_unsafe(self) -> bool:
        """Whether its ROCm release is published to kill captures, whatever its all-reduce is."""
        return captures_are_unsafe(self.advisories)

    @property
    def env(self) -> dict[str, str]:
        """The environment of the image."""
        return {setting.name: setting.value for setting in self.settings}

    @property
    def all_reduce(self) -> str:
        """Whose all-reduce the image selects: the server's `all_reduce.on` or `.off`."""
        return self.server.all_reduce.chosen(self.env, self.version).name

    @property
    def dockerfile(self) -> str:
        """The path of the rendered Dockerfile below the project."""
        return f"images/{self.name}/Dockerfile"

    def reference(self, tag: str) -> str:
        """The image reference of one of the cell's tags."""
        return f"{self.repository}:{tag}"

    def as_json(self) -> dict[str, object]:
        """What `plan --json` prints of the cell."""
        return {
            "cell": self.name,
            "server": self.server.name,
            "version": self.version,
            "arch": self.arch,
            "gfx": self.gfx,
            "family": self.family,
            "gpus": list(self.gpus),
            "rocm": self.rocm,
            "python": self.python,
            "torch": self.torch,
            "recommended": self.recommended,
            "base_image": self.base_image,
            "repository": self.repository,
            "tags": list(self.tags),
            "sources": {name: one.version for name, one in self.sources.items()},
            "packages": {name: one.version for name, one in self.packages.items()},
            "env": self.env,
            "all_reduce": self.all_reduce,
            "all_reduce_reason": self.all_reduce_reason,
            "advisories": [advisory.id for advisory in self.advisories],
            "warnings": [advisory.id for advisory in self.warnings],
            "capture_guard": self.capture_guard,
            "dockerfile": self.dockerfile,
        }


@dataclass(frozen=True)
class Unfit:
    """Something of a server, none of whose variants fits a cell; `where` is its key in the file."""

    where: tuple[str, ...]
    cell: str
    sentence: str


def cells_of(matrix: Matrix) -> tuple[Cell, ...]:
    """Every cell of the matrix that is not excluded: servers, archs, bases in the file's order."""
    return tuple(one for one in _expanded(matrix) if isinstance(one, Cell))


def unfit_cells(matrix: Matrix) -> Iterator[Unfit]:
    """What cannot be resolved, of cells that are not excluded: `plan.load` refuses it."""
    return (one for one in _expanded(matrix) if isinstance(one, Unfit))


def _expanded(matrix: Matrix) -> Iterator[Cell | Unfit]:
    excluded = {
        (server, arch, base)
        for entry in matrix.exclude
        for server in ([entry.server] if entry.server else matrix.servers)
        for arch in ([entry.arch] if entry.arch else matrix.archs)
        for base in ([entry.base] if entry.base else matrix.bases)
    }
    for server in matrix.servers:
        for arch in matrix.archs:
            for rocm in matrix.bases:
                if (server, arch, rocm) not in excluded:
                    yield from _cell(matrix, server, arch, rocm)


def _cell(matrix: Matrix, server: str, arch_name: str, rocm: str) -> Iterator[Cell | Unfit]:
    """The cell, or everything of which no variant fits it."""
    arch, base, entry = matrix.archs[arch_name], matrix.bases[rocm], matrix.servers[server]
    name = f"{server}-{arch_name}-rocm{rocm}"
    versions = Versions(server, arch_name, rocm, base.python, base.torch, {})
    unfit: list[Unfit] = []

    def chosen(kind: str, offered: Mapping[str, Sequence[AnyVariant]]) -> dict[str, AnyVariant]:
        found = {}
        for key, variants in offered.items():
            variant = first_that_fits(variants, versions)
            if variant is None:
                sentence = f"no variant of {key!r} fits {name} ({versions.text})"
                unfit.append(Unfit(("servers", server, kind, key), name, sentence))
            else:
                found[key] = variant
        return found

    # Its own version comes first, since the others may ask about it.
    own = chosen("sources", {server: entry.sources[server]})
    if not unfit:
        versions = replace(versions, sources={server: own[server].version})
        others = {key: one for key, one in entry.sources.items() if key != server}
        sources = {**own, **chosen("sources", others)}
        versions = replace(versions, sources={key: one.version for key, one in sources.items()})
        downloads = chosen("downloads", entry.downloads)
        packages = chosen("packages", entry.packages)
        extra = first_that_fits(entry.extra or (), versions)
        if entry.extra and extra is None:
            sentence = f"no variant of 'extra' fits {name} ({versions.text})"
            unfit.append(Unfit(("servers", server, "extra"), name, sentence))
    if unfit:
        yield from unfit
        return
    release = f"v{sources[server].version}"
    tags = [f"{release}-rocm{rocm.replace('.', '')}-{arch.family}"]
    if base.recommended:
        tags.append(f"{release}-{arch.family}")
    advisories = tuple(a for a in matrix.advisories if is_affected(a.affected, versions))
    settings = _settings(entry, versions, advisories)
    yield Cell(
        name=name,
        image=matrix.image,
        server=SERVERS[server],
        title=entry.title,
        arch=arch_name,
        gfx=arch.gfx,
        family=arch.family,
        gpus=arch.gpus,
        rocm=rocm,
        python=base.python,
        torch=base.torch,
        sdk=base.sdk,
        recommended=base.recommended,
        base_image=base.image,
        epoch=matrix.epoch,
        repository=entry.repository,
        tags=tuple(tags),
        sources=sources,
        downloads=downloads,
        extra=extra,
        packages={name: one for name, one in packages.items() if not one.leave_out},
        settings=tuple(settings[name] for name in sorted(settings)),
        advisories=advisories,
        all_reduce_reason=_all_reduce_reason(matrix, versions, settings),
        supported_until=base.supported_until,
        supported_why=base.supported_why,
    )


def _settings(
    server: ServerEntry, versions: Versions, advisories: Sequence[Advisory]
) -> dict[str, EnvironmentSetting]:
    """By name; what an advisory sets replaces what every image of the server gets."""
    found = {}
    for name, variants in server.env.items():
        one: Setting | None = first_that_fits(variants, versions)
        if one is not None:
            found[name] = EnvironmentSetting(name, one.value, one.why, one.references, None)
    known, version = SERVERS[versions.server], versions.sources[versions.server]
    for advisory in advisories:
        for name, value in set_by(advisory, known, version).items():
            before = found.get(name)
            if before and before.advisory:
                found[name] = replace(before, also=(*before.also, advisory.id))
            else:
                found[name] = EnvironmentSetting(
                    name, value, advisory.why, advisory.references, advisory.id
                )
    return found


def _all_reduce_reason(
    matrix: Matrix, versions: Versions, settings: Mapping[str, EnvironmentSetting]
) -> str:
    server, version = SERVERS[versions.server], versions.sources[versions.server]
    variable = server.all_reduce
    if not variable.is_read_by(version):
        return f"{server.title} {version} has no choice of its all-reduce"
    setting = settings.get(variable.name)
    if setting is not None and setting.advisory:
        rocm = {advisory.id: advisory.affected.rocm for advisory in matrix.advisories}
        by = (setting.advisory, *setting.also)
        return ", ".join(f"{one} (ROCm {rocm[one]})" if rocm[one] else one for one in by)
    unmet = variable.unmet({name: one.value for name, one in settings.items()})
    if unmet:
        needed = " and ".join(f"{one.name}=1" for one in unmet)
        return f"{variable.titles[variable.on]}'s is only taken with {needed}"
    others = [
        f"{a.id}, fixed in {a.fixed_in}" if a.fixed_in else a.id
        for a in matrix.advisories
        if variable.name in a.set
    ]
    default = "every image" if setting else f"{server.title}'s own default"
    return f"{default}; does not apply here: {'; '.join(others)}" if others else default
