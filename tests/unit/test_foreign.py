"""What others wrote is read up to a limit, and shown without acting."""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from rocm_images import telling
from rocm_images.foreign import content_of, document_of, parsed, shown, shown_line
from rocm_images.markdown import block, code, text
from rocm_images.tables import text_table
from terminals import on_a_terminal

PROJECT = Path(__file__).resolve().parents[2]
ESCAPE = "a\x1b]0;title\x07\x1b[31m\x9b2J\r\u202eb"
PLAIN = r"a\u001b]0;title\u0007\u001b[31m\u009b2J\u000d\u202eb"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("[" * 200_000, "levels deep"),
        ("[" * 101 + "]" * 101, "more than 100 levels deep"),
        ('{"a":' * 101 + "1" + "}" * 101, "more than 100 levels deep"),
        ('[{"a\\\\":' * 51 + "1" + "}]" * 51, "more than 100 levels deep"),
        ('"' + '\\"' * 1_000_000 + "\\", "Unterminated string"),
        ('"[' + '\\"' * 1_000_000, "Unterminated string"),
        ("[" + "[]," * 1_000_000 + "[]]", "more than 1000000 values"),
        ("[NaN]", "NaN is no number"),
        ("[-Infinity]", "-Infinity is no number"),
        ("[1e999]", "1e999 is larger than any number"),
        (r'["\ud800"]', "surrogates not allowed"),
        (r'{"\udfff": 1}', "surrogates not allowed"),
        ("9" * 5_000, "integer"),
        ("", "Expecting value"),
        (b'"\xff"', "utf-8"),
        (b"\0", "Expecting value"),
    ],
    ids=range(16),
)
def test_json_that_nobody_can_work_with_is_none(content: str | bytes, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        parsed(content)


def test_json_that_somebody_writes_is_read() -> None:
    deep, wide = "[" * 100 + "]" * 100, "[" + "[]," * 1_000 + "[]]"
    brackets = json.dumps({"[" * 200: '"[\\' * 200})
    for content in ('{"a": [1, 2.5, null, true, "\\ud83d\\ude00"]}', b"\xef\xbb\xbf[]", deep):
        assert parsed(content) is not None
    for content in (wide, brackets, f"{brackets[:-1]},{brackets[1:]}"):
        assert parsed(content) == json.loads(content)


def test_what_is_finalized_while_it_is_read_has_a_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    class Held:
        """Held by itself alone: the garbage collector finalizes it, wherever that runs."""

        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            def down(levels: int) -> None:
                if levels:
                    down(levels - 1)

            down(400)
            ended.append(self)

    ended: list[Held] = []
    failed: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", failed.append)
    before = gc.get_threshold()
    gc.collect()
    gc.set_threshold(600)
    try:
        held = Held()
        del held
        with pytest.raises(ValueError, match="levels deep"):
            parsed("[" * 100_000)
    finally:
        gc.set_threshold(*before)
    gc.collect()
    assert (len(ended), failed) == (1, [])


def test_a_file_is_read_up_to_a_limit_whatever_it_is(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 10)
    assert content_of(path, 10) == b"x" * 10
    for endless in (path, Path("/dev/zero")):
        with pytest.raises(ValueError, match="more than 9 bytes"):
            content_of(endless, 9)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert content_of(pipe) == b""
    with pytest.raises(IsADirectoryError):
        content_of(tmp_path)


def test_a_pipe_that_somebody_writes_to_is_read_to_its_end(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with subprocess.Popen(["sh", "-c", "sleep 0.1; echo '[1]'"], stdout=writing):
        os.close(writing)
        assert document_of(Path(f"/dev/fd/{reading}")) == [1]
    os.close(reading)


def test_what_acts_on_a_terminal_is_written_out() -> None:
    assert shown(ESCAPE) == PLAIN
    assert shown("\ud800\udcff\x00\x7f") == r"\ud800\udcff\u0000\u007f"
    assert shown(shown(ESCAPE)) == PLAIN
    assert shown("tab\tline\nüß 日本 🙂") == "tab\tline\nüß 日本 🙂"
    assert shown_line("one\nbuild.py: verified") == r"one\nbuild.py: verified"


def test_nothing_acts_in_tables_and_on_pages() -> None:
    for made in (
        text_table(("A", "B"), [(ESCAPE, "x"), ("one\ntwo", "y")]),
        text(ESCAPE),
        code(ESCAPE),
        block([ESCAPE, "one\ntwo"]),
    ):
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & {*made}
        assert "one\ntwo" not in made


def test_nothing_acts_that_any_verb_prints(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), "utf-8")
    with contextlib.redirect_stdout(telling.Shown(stream)):  # type: ignore[type-var]
        print(ESCAPE)
        click.echo(f"{ESCAPE}é")
        click.echo(b"completion")
    stream.flush()
    # click takes off the colours of what goes into a file.
    *printed, echoed, words = stream.detach().getvalue().decode().splitlines()
    assert (printed, words) == ([PLAIN], "completion")
    assert echoed.startswith(r"a\u001b]0;title\u0007")
    for say in (telling.failure, telling.step, telling.written):
        say(ESCAPE)
    told = capsys.readouterr()
    assert (told.out + told.err).count(PLAIN) == 3


def test_a_terminal_gets_no_escape_from_an_argument_or_a_file(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.json"
    path.write_text('{"schema": 2, "updated": "\\u001b[31m", "\\u001b[2J": 1}')
    for words in (
        ["release-notes", "a\x1b[31m", "b"],
        ["pick", "--unverified", "--arch", "\x1b[2J", "--catalogue", path],
    ):
        told = on_a_terminal("build.py", *map(str, words))
        assert "\x1b" not in told
        assert r"\u001b" in told


def test_the_tables_own_colours_and_movements_stay() -> None:
    code = (
        "from rocm_images.build.progress import LiveTable\n"
        "from rocm_images.cli.ending import ended\n"
        "def body():\n"
        "    with LiveTable(['a']) as table:\n"
        "        table.step('a', '\\x1b[31mred\\x1b]0;t\\x07')\n"
        "ended(body)\n"
    )
    told = on_a_terminal("-c", code)
    assert "\x1b[" in told
    assert "\x1b[31m" not in told
    assert "\x1b]" not in told
    assert r"\u001b[31mred" in told


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_text_that_an_encoding_lacks_is_written_out(encoding: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from rocm_images.cli.ending import ended\n"
         "import click\nended(lambda: lambda: "
         "(print('日本 \\udcff'), click.echo('日本 \\udcff')))"],
        cwd=PROJECT,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    wanted = "日本" if encoding == "utf-8" else r"\u65e5\u672c"
    assert done.stdout.decode() == f"{wanted} \\udcff\n" * 2
