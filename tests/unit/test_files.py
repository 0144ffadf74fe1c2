"""What the program writes is there whole, or what was there before is as it was."""

from __future__ import annotations

import errno
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from image_facts.whole_file import write_whole as write_in_image
from rocm_images.errors import InputError, WriteRefused
from rocm_images.files import growing, write_json, write_whole

PROJECT = Path(__file__).resolve().parents[2]
IN_IMAGES = PROJECT / "images" / "rootfs" / "opt" / "rocm-images"
# In a process of its own: the limit holds for all that it writes. Each writes what its name says.
FULL_DISK = """
import resource, sys
from pathlib import Path
from rocm_images import files
from rocm_images.errors import InputError
sys.path.append(sys.argv[3])
from image_facts.whole_file import write_whole
def grow(path, text):
    with files.growing(path) as append:
        append(text)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
what = {"program": files.write_whole, "image": write_whole, "log": grow}[sys.argv[1]]
try:
    what(Path(sys.argv[2]), "new" * 1000)
    what(Path(sys.argv[2]), "new" * 1000)
except InputError as error:
    print(int(error.exit_code), error)
except OSError as error:
    print(error.strerror)
"""


def on_a_full_disk(what: str, path: Path) -> str:
    words = [sys.executable, "-c", FULL_DISK, what, str(path), str(IN_IMAGES)]
    done = subprocess.run(
        words, cwd=PROJECT, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


def test_a_file_is_replaced_and_its_folder_made(tmp_path: Path) -> None:
    path = tmp_path / "not" / "yet" / "file.txt"
    for text in ("old\n", "new\r\nwith its line ends\n"):
        write_whole(path, text)
        assert path.read_bytes() == text.encode()
    assert [entry.name for entry in path.parent.iterdir()] == ["file.txt"]
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("what", ["program", "image"])
@pytest.mark.parametrize("before", ["old\n", None])
def test_where_the_disk_is_full_the_old_file_stays_and_nothing_is_left(
    tmp_path: Path, what: str, before: str | None
) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    path = tmp_path / "file.txt"
    if before is not None:
        path.write_text(before)
    told = on_a_full_disk(what, path)
    assert "File too large" in told
    if what == "program":
        assert told == f"13 {path}: cannot write it (File too large)\n"
    assert [entry.name for entry in tmp_path.iterdir()] == (["file.txt"] if before else [])
    assert not before or path.read_text() == before


def test_a_log_on_a_full_disk_is_named(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "a.log"
    told = on_a_full_disk("log", path)
    assert told == f"13 {path}: cannot write it (File too large)\n"


def test_a_log_can_be_read_while_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "a.log"
    for text in ("one", "two \udcff"):
        with growing(path) as append:
            append(text)
            assert path.read_text() == f"{text.encode(errors='replace').decode()}\n"


@pytest.mark.parametrize("write", [write_whole, write_in_image])
def test_a_device_is_written_to_and_stays_one(write: Callable[[Path, str], None]) -> None:
    assert Path("/dev/null").is_char_device()
    write(Path("/dev/null"), "text")
    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize("write", [write_whole, write_in_image])
def test_a_pipe_gets_the_text(tmp_path: Path, write: Callable[[Path, str], None]) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write(pipe, "text")
    assert os.read(reader, 100) == b"text"
    os.close(reader)
    assert pipe.is_fifo()


@pytest.mark.parametrize("write", [write_whole, write_in_image])
def test_of_a_link_what_it_names_is_replaced(
    tmp_path: Path, write: Callable[[Path, str], None]
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    write(tmp_path / "link", "text")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "text"
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("write", [write_whole, write_in_image])
def test_a_link_that_names_itself_is_replaced(
    tmp_path: Path, write: Callable[[Path, str], None]
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "link")
    write(tmp_path / "link", "text")
    assert (tmp_path / "link").read_text() == "text"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        *((errno.ENOSPC, WriteRefused), (errno.EDQUOT, WriteRefused), (errno.EROFS, WriteRefused)),
        *((errno.EACCES, WriteRefused), (errno.EIO, WriteRefused)),
        *((errno.ENOTDIR, InputError), (errno.ENAMETOOLONG, InputError)),
    ],
)
def test_what_the_system_refuses_has_an_exit_code_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, kind: type[InputError]
) -> None:
    def refuse(**_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    with pytest.raises(InputError, match="file: cannot write it") as refused:
        write_whole(tmp_path / "file", "text")
    assert type(refused.value) is kind
    assert int(refused.value.exit_code) == (13 if kind is WriteRefused else 2)


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
