"""The code objects of AITER and sgl-kernel: right gfx passes, anything else is named."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from image_doctor import code_object_check, decompression
from image_doctor.amdgpu import gfx_of_entry, gfx_of_flags
from image_doctor.check import Check, Status
from made_up_image import MadeUpImage
from stand_in_code_objects import E_FLAGS, bundle, bundle_for, code_object, compressed

KERNEL = "aiter/jit/module_quant.so"


def examined(made: MadeUpImage, fatbin: bytes | None) -> Check:
    """The check's answer where one library of AITER has this section."""
    made.set_kernel(KERNEL, fatbin)
    return code_object_check.check_code_objects(made.image)


def zstd_compressed(plain: bytes, version: int) -> bytes:
    """As clang writes it: zstd, in the given version of the compressed format."""
    library = ctypes.CDLL("libzstd.so.1")
    library.ZSTD_compress.restype = ctypes.c_size_t
    target = ctypes.create_string_buffer(len(plain) + 1024)
    size = library.ZSTD_compress(
        target, ctypes.c_size_t(len(target)), plain, ctypes.c_size_t(len(plain)), 3
    )
    data = target.raw[:size]
    sizes = {
        1: struct.pack("<IQ", len(plain), 0),
        2: struct.pack("<IIQ", 24 + len(data), len(plain), 0),
        3: struct.pack("<QQQ", 32 + len(data), len(plain), 0),
    }[version]
    return struct.pack("<4sHH", b"CCOB", version, 1) + sizes + data


def padded(*bundles: bytes) -> bytes:
    """Bundles one after the other, as the linker puts those of several translation units."""
    return b"".join(part + bytes(-len(part) % 4096) for part in bundles)


def test_code_for_the_images_gfx_passes(made: MadeUpImage) -> None:
    check = code_object_check.check_code_objects(made.image)
    assert check.status is Status.PASS
    counts = "3 in 3 libraries of AITER, 1 in 1 library of sgl-kernel"
    assert f"{counts}, 1 in 1 library of fast-hadamard-transform" in check.found


def test_the_same_files_fail_in_an_image_for_another_gfx(made: MadeUpImage) -> None:
    made.describe(gfx="gfx950")
    check = code_object_check.check_code_objects(made.image)
    assert check.status is Status.FAIL
    assert "holds code for gfx942, the image is for gfx950" in check.found


@pytest.mark.parametrize("library", [KERNEL, "sgl_kernel/common_ops.so"])
def test_code_for_two_gfx_fails_and_names_the_file(made: MadeUpImage, library: str) -> None:
    made.set_kernel(library, bundle_for(["gfx942", "gfx950"]))
    check = code_object_check.check_code_objects(made.image)
    assert check.status is Status.FAIL
    assert library in check.found
    assert "gfx950" in check.found


def test_features_in_an_entrys_id_do_not_matter(made: MadeUpImage) -> None:
    entry = "hipv4-amdgcn-amd-amdhsa--gfx942:sramecc+:xnack-"
    assert examined(made, bundle([(entry, code_object("gfx942"))])).status is Status.PASS


def test_an_entry_whose_code_object_is_for_another_gfx_fails(made: MadeUpImage) -> None:
    entry = "hipv4-amdgcn-amd-amdhsa--gfx942"
    check = examined(made, bundle([(entry, code_object("gfx950"))]))
    assert check.status is Status.FAIL
    assert "the entry for gfx942 holds code for gfx950" in check.found


@pytest.mark.parametrize("content", [b"", b"not an ELF file at all", code_object("gfx942")[:30]])
def test_an_entry_without_a_code_object_fails(made: MadeUpImage, content: bytes) -> None:
    check = examined(made, bundle([("hipv4-amdgcn-amd-amdhsa--gfx942", content)]))
    assert check.status is Status.FAIL
    assert "holds no AMD GPU code object" in check.found


def test_every_bundle_of_a_section_is_read(made: MadeUpImage) -> None:
    right, wrong = bundle_for(["gfx942"]), bundle_for(["gfx950"])
    assert examined(made, padded(right, right, right)).status is Status.PASS
    assert examined(made, padded(right, right, wrong)).status is Status.FAIL


def test_a_generic_target_that_covers_the_gfx_is_a_warning(made: MadeUpImage) -> None:
    check = examined(made, bundle_for(["gfx9-4-generic"]))
    assert check.status is Status.WARN
    assert "gfx9-4-generic" in check.found


def test_a_generic_target_that_does_not_cover_it_fails(made: MadeUpImage) -> None:
    entry = "hipv4-amdgcn-amd-amdhsa--gfx11-generic"
    check = examined(made, bundle([(entry, code_object("gfx942"))]))
    assert check.status is Status.FAIL


def test_code_for_no_gpu_in_particular_is_a_warning(made: MadeUpImage) -> None:
    entries = [
        ("hipv4-amdgcn-amd-amdhsa--gfx942", code_object("gfx942")),
        ("hip-spirv64-amd-amdhsa--amdgcnspirv", b"spirv"),
    ]
    check = examined(made, bundle(entries))
    assert check.status is Status.WARN
    assert "amdgcnspirv" in check.found


def test_a_library_without_code_objects_passes_where_others_have_some(made: MadeUpImage) -> None:
    check = examined(made, None)
    assert check.status is Status.PASS
    assert "2 in 2 libraries of AITER" in check.found


def test_a_package_without_any_code_object_fails(made: MadeUpImage) -> None:
    made.set_kernel("sgl_kernel/common_ops.so", None)
    check = code_object_check.check_code_objects(made.image)
    assert check.status is Status.FAIL
    assert "no library of sgl-kernel holds any code object" in check.found


@pytest.mark.parametrize("gfx", ["gfx942", "gfx950"])
@pytest.mark.parametrize("version", [1, 2, 3])
def test_bundles_compressed_with_zstd_are_read(made: MadeUpImage, version: int, gfx: str) -> None:
    check = examined(made, zstd_compressed(bundle_for([gfx]), version))
    assert check.status is (Status.PASS if gfx == "gfx942" else Status.FAIL)


@pytest.mark.parametrize("gfx", ["gfx942", "gfx950"])
def test_bundles_compressed_with_zlib_are_read(made: MadeUpImage, gfx: str) -> None:
    check = examined(made, compressed(bundle_for([gfx])))
    assert check.status is (Status.PASS if gfx == "gfx942" else Status.FAIL)


def test_a_bundle_behind_a_compressed_one_is_found_by_the_size_in_the_header(
    made: MadeUpImage,
) -> None:
    first = zstd_compressed(bundle_for(["gfx942"]), 3)
    assert examined(made, padded(first, first)).status is Status.PASS
    assert examined(made, padded(first, bundle_for(["gfx950"]))).status is Status.FAIL


def test_without_libzstd_a_compressed_bundle_is_a_warning(
    made: MadeUpImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decompression, "_libzstd", lambda: None)
    check = examined(made, zstd_compressed(bundle_for(["gfx942"]), 3))
    assert check.status is Status.WARN
    assert "cannot be read: libzstd.so.1 is not installed" in check.found


@pytest.mark.parametrize(("version", "method"), [(4, 1), (3, 7)])
def test_a_compression_of_the_future_is_a_warning(
    made: MadeUpImage, version: int, method: int
) -> None:
    made_bundle = bytearray(compressed(bundle_for(["gfx942"])))
    made_bundle[4:8] = struct.pack("<HH", version, method)
    assert examined(made, bytes(made_bundle)).status is Status.WARN


@pytest.mark.parametrize(
    "fatbin",
    [
        b"no bundle at all",
        bundle_for(["gfx942"])[:40],
        bundle_for(["gfx942"])[:4100],
        compressed(bundle_for(["gfx942"]))[:60],
        compressed(bundle_for(["gfx942"]))[:10],
        compressed(b"something else"),
        b"__CLANG_OFFLOAD_BUNDLE__" + b"\xff" * 100,
        zstd_compressed(bundle_for(["gfx942"]), 3)[:-4] + b"\1\2\3\4",
    ],
)
def test_a_damaged_bundle_fails_and_names_the_file(made: MadeUpImage, fatbin: bytes) -> None:
    check = examined(made, fatbin)
    assert check.status is Status.FAIL
    assert KERNEL in check.found


@pytest.mark.parametrize("difference", [-1, 1])
@pytest.mark.parametrize("compress", [compressed, lambda plain: zstd_compressed(plain, 3)])
def test_a_compressed_bundle_of_another_size_than_it_claims_fails(
    made: MadeUpImage, compress: Callable[[bytes], bytes], difference: int
) -> None:
    plain = bundle_for(["gfx942"])
    fatbin = bytearray(compress(plain))
    fatbin[16:24] = struct.pack("<Q", len(plain) + difference)
    check = examined(made, bytes(fatbin))
    assert check.status is Status.FAIL
    assert "is damaged" in check.found


@pytest.mark.parametrize("content", [b"", b"not an ELF file", b"\x7fELF\2\1\1"])
def test_a_file_that_is_no_library_fails(made: MadeUpImage, content: bytes) -> None:
    (made.site / KERNEL).write_bytes(content)
    check = code_object_check.check_code_objects(made.image)
    assert check.status is Status.FAIL
    assert KERNEL in check.found


def test_without_pyelftools_the_check_is_not_run(
    made: MadeUpImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code_object_check, "find_spec", lambda name: None)
    assert code_object_check.check_code_objects(made.image).status is Status.NOT_RUN


@pytest.mark.parametrize("gfx", E_FLAGS)
def test_the_stand_ins_numbers_are_those_of_the_table(gfx: str) -> None:
    assert gfx_of_flags(E_FLAGS[gfx]) == gfx


@pytest.mark.parametrize(
    ("entry", "gfx"),
    [
        ("hipv4-amdgcn-amd-amdhsa--gfx942", "gfx942"),
        ("hip-amdgcn-amd-amdhsa-gfx90a:xnack+", "gfx90a"),
        ("hipv4-amdgcn-amd-amdhsa--gfx9-4-generic:sramecc-", "gfx9-4-generic"),
        ("hipv4-amdgcn-amd-amdhsa-unknown-gfx12-generic", "gfx12-generic"),
        ("hip-spirv64-amd-amdhsa--amdgcnspirv", None),
    ],
)
def test_the_processor_is_read_from_an_entrys_id(entry: str, gfx: str | None) -> None:
    assert gfx_of_entry(entry) == gfx


def test_all_stand_in_sources_write_the_same_bundles() -> None:
    sources = Path(__file__).parents[3] / "rehearsal" / "sources"
    copies = list(sources.rglob("stand_in_code_objects.py"))
    assert len(copies) >= 3
    assert len({copy.read_bytes() for copy in copies}) == 1
