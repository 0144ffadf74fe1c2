"""Which files are mapped is read from the kernel's table."""

from __future__ import annotations

from graph_probe.library import mapped_files

MAPS = """\
7f10000-7f20000 r--p 00000000 fe:01 1111 /opt/rocm-7.2.0/lib/libamdhip64.so.7.2.70200
7f20000-7f30000 r-xp 00010000 fe:01 1111 /opt/rocm-7.2.0/lib/libamdhip64.so.7.2.70200
7f30000-7f40000 r--p 00000000 fe:01 2222 /opt/venv/a b/torch/lib/libamdhip64.so (deleted)
7f40000-7f50000 rw-p 00000000 00:00 0
7f50000-7f60000 rw-p 00000000 00:00 0 [heap]
7f60000-7f70000 r--p 00000000 fe:01 3333 /usr/lib/libamdhip64_helper.so
7f70000-7f80000 r--p 00000000 fe:01 4444 /usr/lib/other.so
"""


def test_each_mapped_file_is_listed_once_with_spaces_and_deleted_ones() -> None:
    assert [entry.path for entry in mapped_files(MAPS, "libamdhip64")] == [
        "/opt/rocm-7.2.0/lib/libamdhip64.so.7.2.70200",
        "/opt/venv/a b/torch/lib/libamdhip64.so",
    ]


def test_a_library_whose_name_only_begins_alike_is_another_one() -> None:
    assert mapped_files("1-2 r--p 0 fe:01 3 /l/libamdhip64_helper.so\n", "libamdhip64") == []


def test_the_file_that_was_loaded_counts_under_any_name() -> None:
    assert [entry.path for entry in mapped_files(MAPS, "libx", "/usr/lib/other.so")] == [
        "/usr/lib/other.so"
    ]
