"""Chooses the files of the GPU runtime: the copy that torch would load, and what is really mapped.

A base image's tag does not say which HIP runtime runs: a torch wheel can bring its own
torch/lib/libamdhip64.so, found before /opt/rocm by its RPATH (sglang#35390, #35806).
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from graph_probe.exit_codes import ExitCode, ProbeError

HIP_OVERRIDE = "GRAPH_PROBE_HIP_LIB"
HIPRTC_OVERRIDE = "GRAPH_PROBE_HIPRTC_LIB"
RUNTIME_STEM = {"hip": "libamdhip64", "cuda": "libcudart"}


class Libraries(NamedTuple):
    """The files of one backend. `driver` holds the module calls: on HIP the runtime itself."""

    backend: str
    runtime: str
    compiler: str
    driver: str


class Mapped(NamedTuple):
    """A file in this process's address space; device and inode tell copies from links."""

    path: str
    device: str
    inode: int


def torch_folder() -> str | None:
    """The folder of the torch package this interpreter would import, found without importing it."""
    try:
        spec = importlib.util.find_spec("torch")
    except (ImportError, ValueError):
        return None
    places = list(spec.submodule_search_locations or []) if spec else []
    return str(places[0]) if places else None


def mapped_files(maps: str, stem: str, also: str = "") -> list[Mapped]:
    """The distinct files in the text of /proc/PID/maps that are named `stem`, or are `also`.

    A link's own name is not in there, only the file's: /opt/rocm may link to any name.
    """
    found: dict[tuple[str, int], Mapped] = {}
    for line in maps.splitlines():
        fields = line.split(None, 5)
        if len(fields) < 6:
            continue
        path = fields[5].removesuffix(" (deleted)")
        name = path.rpartition("/")[2]
        named = name.startswith(stem) and name.removeprefix(stem)[:1] in ("", ".", "-")
        if named or path == also:
            entry = Mapped(path, fields[3], int(fields[4]))
            found.setdefault((entry.device, entry.inode), entry)
    return list(found.values())


def loaded_runtime(backend: str, loaded: str = "") -> str:
    """The path of the one runtime library that is mapped; `loaded` is what was asked for.

    Raises ProbeError TWO_RUNTIMES where two different copies are, NO_RUNTIME_OR_DEVICE where none.
    """
    stem = RUNTIME_STEM[backend]
    also = str(Path(loaded).resolve()) if "/" in loaded else ""
    mapped = mapped_files(Path("/proc/self/maps").read_text(), stem, also)
    if not mapped:
        raise ProbeError(
            ExitCode.NO_RUNTIME_OR_DEVICE, f"No {stem} is mapped after loading it; nothing to test."
        )
    if len(mapped) > 1:
        paths = " and ".join(entry.path for entry in mapped)
        raise ProbeError(
            ExitCode.TWO_RUNTIMES,
            f"Two different copies of {stem} are mapped: {paths}. Keep one: remove the copy "
            "in torch/lib or the one in /opt/rocm, or point LD_LIBRARY_PATH at only one.",
        )
    return mapped[0].path


def in_folder(folder: str | Path, stem: str) -> Iterator[str]:
    """The files of one library in one folder, the unversioned name first, then the newest."""
    files = sorted(Path(folder).glob(f"{stem}.so*"), key=lambda path: path.name, reverse=True)
    yield from sorted(map(str, files), key=lambda path: not path.endswith(".so"))


def load_first(candidates: Iterator[str]) -> str | None:
    """The first of the candidates that the dynamic loader accepts; it stays loaded."""
    for candidate in candidates:
        try:
            ctypes.CDLL(candidate)
        except OSError:
            continue
        return candidate
    return None


def load_libraries(backend: str, torch: str | None, environment: Mapping[str, str]) -> Libraries:
    """Loads the libraries of `backend` (auto, hip or cuda) and says which files they are.

    Raises ProbeError where a named file cannot be loaded, where none is found, or where two
    different copies of the runtime end up in the process.
    """
    if backend in ("auto", "hip"):
        libraries = _load_hip(torch, environment)
        if libraries is not None:
            return libraries
    if backend in ("auto", "cuda"):
        libraries = _load_cuda()
        if libraries is not None:
            return libraries
    wanted = {"hip": "libamdhip64 and libhiprtc", "cuda": "libcudart, libcuda and libnvrtc"}
    missing = wanted.get(backend, "libamdhip64 and libhiprtc")
    raise ProbeError(
        ExitCode.NO_RUNTIME_OR_DEVICE,
        f"Found no {missing} that can be loaded, in torch/lib, in /opt/rocm/lib or on the "
        f"loader's path. Install the runtime, or name its file in {HIP_OVERRIDE}.",
    )


def _load_hip(torch: str | None, environment: Mapping[str, str]) -> Libraries | None:
    loaded = environment.get(HIP_OVERRIDE)
    if loaded:
        _load_named(HIP_OVERRIDE, loaded)
    elif not _load_through_torch(torch):
        loaded = load_first(_hip_candidates(torch))
        if loaded is None:
            return None
    runtime = loaded_runtime("hip", loaded or "")
    compiler = environment.get(HIPRTC_OVERRIDE)
    if compiler:
        _load_named(HIPRTC_OVERRIDE, compiler)
    else:
        compiler = load_first(_hiprtc_candidates(runtime))
    if compiler is None:
        raise ProbeError(
            ExitCode.NO_RUNTIME_OR_DEVICE,
            f"Found no libhiprtc that can be loaded, beside {runtime} or in /opt/rocm/lib. "
            f"Install it, or name its file in {HIPRTC_OVERRIDE}.",
        )
    return Libraries("hip", runtime, compiler, runtime)


def _load_named(variable: str, path: str) -> None:
    try:
        ctypes.CDLL(path)
    except OSError as error:
        raise ProbeError(
            ExitCode.NO_RUNTIME_OR_DEVICE, f"{variable} names {path}, which does not load: {error}."
        ) from None


def _load_through_torch(torch: str | None) -> bool:
    """Has the dynamic loader do what it does for torch, with torch's own RPATH and needs."""
    if torch is None or load_first(in_folder(Path(torch, "lib"), "libc10_hip")) is None:
        return False
    maps = Path("/proc/self/maps").read_text()
    return bool(mapped_files(maps, RUNTIME_STEM["hip"]))


def _hip_candidates(torch: str | None) -> Iterator[str]:
    if torch is not None:
        yield from in_folder(Path(torch, "lib"), "libamdhip64")
        # AMD's rocm-sdk wheels put the runtime beside torch and load it when torch is imported.
        yield from in_folder(Path(torch).parent / "_rocm_sdk_core" / "lib", "libamdhip64")
    yield from in_folder("/opt/rocm/lib", "libamdhip64")
    yield from ("libamdhip64.so", "libamdhip64.so.7", "libamdhip64.so.6")


def _hiprtc_candidates(runtime: str) -> Iterator[str]:
    # The one beside the runtime first: code objects must suit the runtime that loads them.
    yield from in_folder(Path(runtime).parent, "libhiprtc")
    yield from in_folder("/opt/rocm/lib", "libhiprtc")
    yield from ("libhiprtc.so", "libhiprtc.so.7", "libhiprtc.so.6")


def _load_cuda() -> Libraries | None:
    runtime = load_first(_cuda_candidates("libcudart"))
    compiler = load_first(_cuda_candidates("libnvrtc"))
    driver = load_first(iter(("libcuda.so.1", "libcuda.so")))
    if runtime is None or compiler is None or driver is None:
        return None
    return Libraries("cuda", loaded_runtime("cuda", runtime), compiler, driver)


def _cuda_candidates(stem: str) -> Iterator[str]:
    yield from (f"{stem}.so", f"{stem}.so.13", f"{stem}.so.12")
    folders = [*sorted(Path("/usr/local").glob("cuda*/lib64"), reverse=True)]
    folders += [Path("/usr/local/nvidia/lib64")]
    for entry in filter(None, [*sys.path, *os.environ.get("PYTHONPATH", "").split(os.pathsep)]):
        folders += sorted(Path(entry, "nvidia").glob("*/lib"), reverse=True)
    for folder in folders:
        yield from in_folder(folder, stem)
