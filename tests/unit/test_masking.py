"""No credential is in what is told or kept, and nothing else of it is changed."""

from __future__ import annotations

import io
import subprocess
import sys
import time

import pytest

from rocm_images.masking import LONGEST_LINE, lines_of, masked, masked_document

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"https://me:{SECRET}@host/x", "https://***@host/x"),
        (f"https://{SECRET}@host/x", "https://***@host/x"),
        (f"to http://me:{SECRET}@proxy:3128.", "to http://***@proxy:3128."),
        (f"http://me:a@{SECRET}@host", "http://***@host"),
        (f"http://me:a/{SECRET}@host", "http://***@host"),
        (f"http://:{SECRET}@host", "http://***@host"),
        (f"ssh://me:{SECRET}@host/x.git", "ssh://***@host/x.git"),
        (f"git+https://{SECRET}@host/x.git#v1", "git+https://***@host/x.git#v1"),
        (f"x=git://u:{SECRET}@host#abc", "x=git://***@host#abc"),
        (f"docker-image://u:{SECRET}@host/x@sha256:abc", "docker-image://***@host/x@sha256:abc"),
        (
            f"http://a:{SECRET}@h and http://b:{SECRET}@i",
            "http://***@h and http://***@i",
        ),
        (f"https://pypi/simple?token={SECRET}&x=1", "https://pypi/simple?token=***&x=1"),
        (f"https://h/x?a=1&private_token={SECRET}#frag", "https://h/x?a=1&private_token=***#frag"),
        (f"https://h/x?X-Amz-Signature={SECRET}", "https://h/x?X-Amz-Signature=***"),
        (f"> Proxy-Authorization: Basic {SECRET}", "> Proxy-Authorization: Basic ***"),
        (f"authorization: bearer {SECRET}", "authorization: bearer ***"),
    ],
)
def test_a_credential_is_masked(text: str, expected: str) -> None:
    assert masked(text) == expected
    # Masked once more, it is the same: what is sealed and then written keeps its seal.
    assert masked(expected) == expected


@pytest.mark.parametrize(
    "text",
    [
        "docker-image://rocm/pytorch:7.2@sha256:abc",
        "docker-image://busybox@sha256:abc",
        "oci-layout:///a/folder:tag@sha256:abc",
        "https://host:8080/a/path@1.2",
        "https://host/@scope/package",
        "ssh://git@host/x.git",
        "git+ssh://me@host:22/x.git",
        "git@host:x/y.git",
        "https://host/x?tokens=3&passwords=0",
        "tokens=3",
        "see https://host/x: mail someone@host",
        "unix:///var/run/docker.sock",
    ],
)
def test_what_holds_no_credential_stays_as_it_is(text: str) -> None:
    assert masked(text) == text


def test_every_text_of_a_document_is_masked() -> None:
    document = {"a": [f"http://u:{SECRET}@h", 1, None], "b": {"c": (f"x?token={SECRET}", True)}}
    assert masked_document(document) == {
        "a": ["http://***@h", 1, None],
        "b": {"c": ["x?token=***", True]},
    }


def test_lines_come_one_by_one_without_their_ends() -> None:
    text = f"one\n\n http://u:{SECRET}@h\nlast"
    assert list(lines_of(io.StringIO(text))) == ["one", "", " http://***@h", "last"]


@pytest.mark.parametrize("beyond", [-1, 0, 1, LONGEST_LINE, 5 * LONGEST_LINE + 7])
@pytest.mark.parametrize("end", ["\nnext", ""])
def test_a_long_line_is_cut_and_the_next_one_is_whole(beyond: int, end: str) -> None:
    lines = list(lines_of(io.StringIO("x" * (LONGEST_LINE + beyond) + end)))
    kept = "x" * min(LONGEST_LINE, LONGEST_LINE + beyond)
    assert lines == [kept + (" ... (cut)" if beyond > 0 else ""), *(["next"] if end else [])]


@pytest.mark.parametrize("password", [SECRET, f"a/{SECRET}"])
def test_half_a_password_before_the_cut_is_not_kept(password: str) -> None:
    start = " http://me:" + password
    line = "x" * (LONGEST_LINE - len(start)) + start + "MORE@host\nnext\n"
    (cut, following) = lines_of(io.StringIO(line))
    assert cut.endswith(" http://*** ... (cut)")
    assert following == "next"


def test_a_line_made_to_take_long_does_not() -> None:
    text = "http://a:b" * (LONGEST_LINE // 10)
    begun = time.process_time()
    masked(text)
    assert time.process_time() - begun < 10


# Its own peak of memory is in what it prints; that of getrusage begins with its parent's.
ENDLESS = """
import re, sys
from pathlib import Path
from rocm_images.masking import lines_of
lengths = [len(line) for line in lines_of(sys.stdin)]
print(lengths, re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


def test_a_line_without_an_end_takes_no_memory() -> None:
    megabytes = 256
    child = subprocess.Popen(
        [sys.executable, "-c", ENDLESS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdin is not None
    for _ in range(megabytes):
        child.stdin.write("x" * 1024**2)
    output, _ = child.communicate(timeout=60)
    lengths, kilobytes = output.rsplit(maxsplit=1)
    assert lengths == f"[{LONGEST_LINE + len(' ... (cut)')}]"
    assert int(kilobytes) < megabytes * 1024 / 2
