"""Expands a matrix into cells: one image to build for each arch and ROCm base, fully resolved.

Everything later in the pipeline reads cells; nothing later decides a setting.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from packaging.version import Version

from rocm_images.matrix.schema import Advisory, Matrix
from rocm_images.plan.advisories import applicable, captures_are_unsafe

# Which all-reduce SGLang dispatches to on HIP.
# Source: sglang/srt/distributed/device_communicators/custom_all_reduce.py
ALL_REDUCE_VARIABLE = "SGLANG_USE_AITER_AR"


@dataclass(frozen=True)
class EnvironmentSetting:
    """One environment variable of an image and why it has its value."""

    name: str
    value: str
    why: str
    references: tuple[str, ...]
    advisory: str | None
    """The id of the advisory that sets it; None for a setting that every image gets."""


@dataclass(frozen=True)
class Cell:
    """One image of the matrix, named `942-rocm7.2.0`."""

    name: str
    arch: str
    gfx: str
    family: str
    gpus: tuple[str, ...]
    rocm: str
    recommended: bool
    base_image: str
    epoch: int
    """What a build writes carries this date, in seconds since 1970: SOURCE_DATE_EPOCH."""
    repository: str
    tags: tuple[str, ...]
    """Rolling tags, the most specific first."""
    settings: tuple[EnvironmentSetting, ...]
    advisories: tuple[Advisory, ...]
    all_reduce_reason: str

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
        """Which all-reduce the image selects: `aiter` or `sglang`.

        SGLang reads the variable with get_bool_env_var, whose default here is "true": only
        "true" and "1", in any case, are true.
        """
        value = self.env.get(ALL_REDUCE_VARIABLE, "true")
        return "aiter" if value.lower() in ("true", "1") else "sglang"

    @property
    def dockerfile(self) -> str:
        """The path of the rendered Dockerfile below the project."""
        return f"images/{self.name}/Dockerfile"

    def reference(self, tag: str) -> str:
        """The image reference of one of the cell's tags."""
        return f"{self.repository}:{tag}"

    def as_json(self) -> dict[str, Any]:
        """What `plan --json` prints of the cell."""
        return {
            "cell": self.name,
            "arch": self.arch,
            "gfx": self.gfx,
            "family": self.family,
            "gpus": list(self.gpus),
            "rocm": self.rocm,
            "recommended": self.recommended,
            "base_image": self.base_image,
            "repository": self.repository,
            "tags": list(self.tags),
            "env": self.env,
            "all_reduce": self.all_reduce,
            "all_reduce_reason": self.all_reduce_reason,
            "advisories": [advisory.id for advisory in self.advisories],
            "warnings": [advisory.id for advisory in self.warnings],
            "capture_guard": self.capture_guard,
            "dockerfile": self.dockerfile,
        }


def cells_of(matrix: Matrix) -> tuple[Cell, ...]:
    """Every cell of the matrix that is not excluded, archs first, in the order of the file."""
    excluded = {
        (arch, base)
        for entry in matrix.exclude
        for arch in ([entry.arch] if entry.arch else matrix.archs)
        for base in ([entry.base] if entry.base else matrix.bases)
    }
    return tuple(
        _cell(matrix, arch, rocm)
        for arch in matrix.archs
        for rocm in matrix.bases
        if (arch, rocm) not in excluded
    )


def _cell(matrix: Matrix, arch_name: str, rocm: str) -> Cell:
    arch, base = matrix.archs[arch_name], matrix.bases[rocm]
    release = f"v{matrix.sources.sglang.version}"
    tags = [f"{release}-rocm{rocm.replace('.', '')}-{arch.family}"]
    if base.recommended:
        tags.append(f"{release}-{arch.family}")
    advisories = applicable(matrix, arch_name, rocm)
    settings = {setting.name: setting for setting in _settings(matrix, advisories)}
    return Cell(
        name=f"{arch_name}-rocm{rocm}",
        arch=arch_name,
        gfx=arch.gfx,
        family=arch.family,
        gpus=arch.gpus,
        rocm=rocm,
        recommended=base.recommended,
        base_image=base.image,
        epoch=matrix.epoch,
        repository=matrix.image.repository,
        tags=tuple(tags),
        settings=tuple(settings[name] for name in sorted(settings)),
        advisories=advisories,
        all_reduce_reason=_all_reduce_reason(matrix, settings.get(ALL_REDUCE_VARIABLE)),
    )


def _settings(matrix: Matrix, advisories: Sequence[Advisory]) -> Iterator[EnvironmentSetting]:
    """Settings in the order in which later ones replace earlier ones of the same name."""
    for name, setting in matrix.env.items():
        yield EnvironmentSetting(name, setting.value, setting.why, setting.references, None)
    for advisory in advisories:
        for name, value in advisory.set.items():
            yield EnvironmentSetting(name, value, advisory.why, advisory.references, advisory.id)


def _all_reduce_reason(matrix: Matrix, setting: EnvironmentSetting | None) -> str:
    if setting is not None and setting.advisory:
        advisory = next(a for a in matrix.advisories if a.id == setting.advisory)
        rocm = advisory.affected.rocm
        return f"{advisory.id} (ROCm {rocm})" if rocm else advisory.id
    others = [
        f"{a.id}, fixed in {a.fixed_in}" if a.fixed_in else a.id
        for a in matrix.advisories
        if ALL_REDUCE_VARIABLE in a.set
    ]
    default = "every image" if setting else "SGLang's own default"
    return f"{default}; does not apply here: {'; '.join(others)}" if others else default
