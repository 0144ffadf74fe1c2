"""A made-up image: a folder with all that the doctor looks at, right in every respect."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import shared_objects
from image_doctor.image import Image
from image_facts.description import PLACE, read
from image_facts.shell import as_shell
from stand_in_code_objects import bundle_for

TRITON = "3.7.0+amd.rocm7.2.0.git89002410"
HIP_OF_7_2_0, HIP_OF_7_2_2 = 70226015, 70253211
DESCRIPTION: dict[str, Any] = {
    "cell": "sglang-942-rocm7.2.2",
    "gfx": "gfx942",
    "capture_guard": False,
    "gpus": ["AMD Instinct MI300X"],
    "rocm": "7.2.2",
    "server": "sglang",
    "versions": {
        "sglang": "0.5.21",
        "amd-aiter": "0.1.19",
        "fast-hadamard-transform": "1.0.4.post1",
    },
    "packages": {"triton": TRITON, "triton-kernels": "1.0.0+amd"},
    "capture_bug": {"here": False, "free_from": "7.2.1"},
    "hip_builds": [
        {"hip": "7.2.26015", "first": "7.2.0", "last": "7.2.0"},
        {"hip": "7.2.53211", "first": "7.2.1", "last": "7.2.4"},
    ],
    "env": {"SGLANG_MOE_PADDING": "1", "SGLANG_USE_AITER_AR": "1"},
}
DISPATCH = """
def dispatch_custom_allreduce():
    if get_bool_env_var("SGLANG_USE_AITER_AR", default="true"):
        return AiterCustomAllreduce
    return CustomAllreduce
"""


class MadeUpImage:
    """Builds the folder and changes single things in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environment = {"PATH": "/usr/bin:/bin", **DESCRIPTION["env"]}
        self.description: dict[str, Any] = json.loads(json.dumps(DESCRIPTION))
        python = f"python{sys.version_info[0]}.{sys.version_info[1]}"
        self.site = root / "opt" / "venv" / "lib" / python / "site-packages"
        self.write("opt/rocm/.info/version", "7.2.2-43\n")
        self.describe()
        self._add_packages()
        self._add_libraries()
        self._add_machine()

    @property
    def image(self) -> Image:
        return Image(self.root, self.environment)

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def describe(self, **changes: object) -> None:
        """Write image.json as the build does; a change to None takes a key out."""
        self.description |= changes
        kept = {key: value for key, value in self.description.items() if value is not None}
        self.describe_as(json.dumps(kept, indent=2))

    def describe_as(self, text: str) -> None:
        """Write image.json, and image.sh from it as the build does."""
        facts = read(self.write(PLACE, text))
        self.write("opt/rocm-images/image.sh", as_shell(facts))

    def add_package(self, name: str, version: str, *lines: str) -> None:
        folder = self.site / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir(parents=True)
        metadata = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *lines, ""]
        (folder / "METADATA").write_text("\n".join(metadata))

    def remove_package(self, name: str) -> None:
        (folder,) = self.site.glob(f"{name.replace('-', '_')}-*.dist-info")
        (folder / "METADATA").unlink()
        folder.rmdir()

    def set_torch(self, hip: str | None, cuda: str | None) -> None:
        self.site.joinpath("torch", "version.py").write_text(
            "from typing import Optional\n"
            f"__version__ = '2.9.1+rocm7.2.2'\ncuda: Optional[str] = {cuda!r}\n"
            f"hip: Optional[str] = {hip!r}\nraise RuntimeError('a version file was imported')\n"
        )

    def set_dispatch(self, text: str) -> None:
        (self.site / "sglang" / "srt" / "custom_all_reduce.py").write_text(text)

    def set_kernel(self, name: str, fatbin: bytes | None, **options: Any) -> Path:
        """A library of AITER (or `sgl_kernel/...`) with a .hip_fatbin section."""
        return shared_objects.write(self.site / name, fatbin=fatbin, **options)

    def set_torch_runtime(self, hip_version: int) -> Path:
        """The vendored-runtime trap: a libamdhip64 in torch/lib."""
        return shared_objects.write(
            self.site / "torch" / "lib" / "libamdhip64.so.7",
            soname="libamdhip64.so.7",
            hip_version=hip_version,
        )

    def set_gpus(self, *versions: int) -> None:
        """GPUs by gfx_target_version, behind one node for the CPUs."""
        nodes = "sys/class/kfd/kfd/topology/nodes"
        for folder in (self.root / nodes, self.root / "dev/dri"):
            shutil.rmtree(folder, ignore_errors=True)
        self.write(f"{nodes}/0/properties", "cpu_cores_count 96\ngfx_target_version 0\n")
        for number, version in enumerate(versions):
            self.write(
                f"{nodes}/{number + 1}/properties",
                f"simd_count 1216\ngfx_target_version {version}\ndrm_render_minor {128 + number}\n",
            )
            self.write(f"dev/dri/renderD{128 + number}", "")

    def set_shared_memory(self, options: str | None) -> None:
        lines = ["proc /proc proc rw,nosuid 0 0"]
        if options is not None:
            lines.append(f"shm /dev/shm tmpfs rw,nosuid{options} 0 0")
        self.write("proc/mounts", "\n".join([*lines, ""]))

    def _add_packages(self) -> None:
        for name in ("torch", "sglang/srt"):
            (self.site / name).mkdir(parents=True)
        (self.site / "sglang" / "__init__.py").touch()
        self.set_torch("7.2.53211", None)
        self.set_dispatch(DISPATCH)
        self.add_package("torch", "2.9.1+rocm7.2.2")
        self.add_package("triton", TRITON)
        self.add_package("triton_kernels", "1.0.0+amd")
        self.add_package("sglang", "0.5.21", "Requires-Dist: triton")
        self.add_package("amd-aiter", "0.1.19")
        self.add_package("sglang-kernel", "0.4.5")
        self.add_package("fast-hadamard-transform", "1.0.4.post1")
        self.add_package("nvidia-ml-py", "13.0.0")

    def _add_libraries(self) -> None:
        rocm = self.root / "opt" / "rocm" / "lib"
        shared_objects.write(
            rocm / "libamdhip64.so.7", soname="libamdhip64.so.7", hip_version=HIP_OF_7_2_2
        )
        (rocm / "libamdhip64.so").symlink_to("libamdhip64.so.7")
        shared_objects.write(self.site / "torch" / "lib" / "libc10.so", soname="libc10.so")
        shared_objects.write(
            self.site / "torch" / "lib" / "libc10_hip.so",
            needs=["libc10.so", "libamdhip64.so.7"],
            runpath=f"$ORIGIN:{rocm}",
        )
        for kernel in ("activation", "cache", "quant"):
            self.set_kernel(f"aiter/jit/module_{kernel}.so", bundle_for(["gfx942"]),
                            needs=["libc10.so", "libamdhip64.so.7"])  # fmt: skip
        self.set_kernel("sgl_kernel/common_ops.so", bundle_for(["gfx942"]))
        self.set_kernel("fast_hadamard_transform_cuda.cpython.so", bundle_for(["gfx942"]))

    def _add_machine(self) -> None:
        self.set_gpus(90402, 90402)
        self.set_shared_memory(",size=33554432k")
        self.write("dev/kfd", "")
