"""What the program writes is there whole, or what was there before is as it was."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from rocm_images.errors import InputError
from rocm_images.files import write_json, write_whole

# In a process of its own: the limit holds for all that it writes.
FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from rocm_images.errors import InputError
from rocm_images.files import write_whole
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_whole(Path(sys.argv[1]), "new" * 1000)
except InputError as error:
    print(error)
"""


def test_a_file_is_replaced_and_its_folder_made(tmp_path: Path) -> None:
    path = tmp_path / "not" / "yet" / "file.txt"
    for text in ("old\n", "new\r\nwith its line ends\n"):
        write_whole(path, text)
        assert path.read_bytes() == text.encode()
    assert [entry.name for entry in path.parent.iterdir()] == ["file.txt"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_where_the_disk_is_full_the_old_file_stays_and_nothing_is_left(tmp_path: Path) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    path = tmp_path / "file.txt"
    path.write_text("old\n")
    words = [sys.executable, "-c", FULL_DISK, str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    assert "file.txt: cannot write it (File too large)" in done.stdout
    assert path.read_text() == "old\n"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.txt"]


def test_what_cannot_be_written_is_named_with_what_to_do(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    with pytest.raises(InputError, match=r"file/x: cannot write it \(.*\): use --output"):
        write_whole(in_the_way / "x", "text", hint="use --output")
    with pytest.raises(InputError, match="cannot write it"):
        write_json(tmp_path, {})
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_json_is_for_people_too(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": [1]})
    text = (tmp_path / "a.json").read_text()
    assert json.loads(text) == {"a": [1]}
    assert text == '{\n  "a": [\n    1\n  ]\n}\n'
