"""The benchmarks of pushes and pulls say truly what they measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.measure import measure
from benchmarks.pulling import image, results
from benchmarks.pulling.__main__ import main
from benchmarks.pulling.node import newer_packages
from benchmarks.pulling.publishing import BAKE, PUBLISH, STEP, account_of, covered
from benchmarks.pulling.registry import sent_in
from benchmarks.pulling.rounds import COLD, DELTA, Run, Runs
from benchmarks.pulling.ways import GZIP, GZIP_BEFORE, ZSTD, ZSTD_BASE, ways
from rehearsal.debian_packages import Distribution

MEBIBYTE = 2**20


def pulls(*seconds: float, sent: int = 100) -> list[Run]:
    return [Run(value, 50 * MEBIBYTE, sent, 1000) for value in seconds]


FOUND: Runs = {
    COLD: {
        # A busy minute hits all of them: the ratio is taken round by round.
        GZIP: pulls(10, 10, 100, sent=1000),
        ZSTD: pulls(7, 7, 70, sent=1000),
        ZSTD_BASE: pulls(3.5, 3.5, 35, sent=1000),
    },
    DELTA: {GZIP: pulls(1), GZIP_BEFORE: pulls(6, sent=600), ZSTD: pulls(1, sent=80)},
    STEP: {PUBLISH: pulls(12), BAKE: pulls(10)},
}


def test_only_layers_that_were_sent_count_as_pulled() -> None:
    begin, digest = '127.0.0.1 - - [26/Nov/2026:10:00:00 +0000] "', f"sha256:{'a' * 64}"
    end = '"" "docker/26.1.5"\n'
    log = (
        f'{begin}GET /v2/bench/zstd/blobs/{digest} HTTP/1.1" 200 1000 {end}'
        f'{begin}GET /v2/bench/zstd/blobs/{digest} HTTP/1.1" 206 20 {end}'
        f'{begin}HEAD /v2/bench/zstd/blobs/{digest} HTTP/1.1" 200 5000 {end}'
        f'{begin}GET /v2/bench/zstd/manifests/{digest} HTTP/1.1" 200 5000 {end}'
        f'{begin}GET /v2/bench/zstd/blobs/{digest} HTTP/1.1" 404 5000 {end}'
        f'{begin}PUT /v2/bench/zstd/blobs/uploads/1?digest={digest} HTTP/1.1" 201 5000 {end}'
    )
    assert sent_in(log) == 1020


def test_targets_are_ratios_of_one_round_and_shares_of_bytes() -> None:
    found = {v.target: (v.measured, v.missed_by) for v in results.verdicts(FOUND)}
    assert found == {
        f"cold pull, unpacked, {ZSTD_BASE}: at most 0.35 times {GZIP}": ("0.35 times", ""),
        f"cold pull, unpacked, {ZSTD}: at most 0.35 times {GZIP}": ("0.70 times", "100%"),
        f"delta pull of a new server, {ZSTD}: at most 0.1 of the image's bytes": (
            "0.08 of them",
            "",
        ),
        f"delta pull of a new server, {GZIP_BEFORE}: at most 0.1 of the image's bytes": (
            "0.60 of them",
            "500%",
        ),
        f"{STEP}: at most 1.1 times {BAKE}": ("1.20 times", "9%"),
    }


def test_results_are_written_again_with_a_note_and_nothing_is_measured(tmp_path: Path) -> None:
    file = tmp_path / "2026-01-01-pulls.json"
    file.write_text(json.dumps(results.document({"cores": "2"}, FOUND, ["old"])))
    assert main(["--again", str(file), "--note", "new"]) == 0
    assert json.loads(file.read_text()) == results.document({"cores": "2"}, FOUND, ["new"])
    page = file.with_suffix(".md").read_text()
    assert page == results.page({"cores": "2"}, FOUND, ["new"])
    assert "- new" in page
    row = f"| {GZIP_BEFORE} | 6.00 | 6.00 | 6.00 | 1 | 52 MB | 0 MB | 0.600 | 6.00 |"
    assert row in page


@pytest.mark.parametrize("text", ["", "[]", '{"about": {}, "steps": {"push": {"zstd": [1]}}}'])
def test_a_file_of_something_else_is_refused_and_left(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "other.json"
    file.write_text(text)
    assert main(["--again", str(file)]) == 1
    assert "is no file of results" in capsys.readouterr().err
    assert file.read_text() == text


def test_both_dockerfiles_hold_the_same_and_a_new_server_changes_the_last_layers_of_one() -> None:
    def copied(dockerfile: str) -> list[list[str]]:
        lines = [line.split() for line in dockerfile.splitlines() if line.startswith("COPY ")]
        return [[source.partition("/")[0] for source in words[1:-1]] for words in lines]

    before, split = copied(image.before("base")), copied(image.split("base"))
    every = sorted(part for layer in split for part in layer)
    assert sorted(part for layer in before for part in layer) == every
    assert set(every) == {*image.TWO_GIGABYTES.packages, "image"} - {"base"}
    assert split[-len(image.CHANGED) :] == [[part] for part in image.CHANGED]
    assert "torch" in next(layer for layer in before if "server" in layer)


def test_each_way_pushes_to_a_repository_of_its_own(tmp_path: Path) -> None:
    every = ways(tmp_path, Path("/bakery"))
    assert len({way.repository for way in every}) == len(every)
    address = "127.0.0.1:5000"
    for way in every:
        words = way.push("vendor/base:1", address, "1")
        written = " ".join([*words, *(path.read_text() for path in tmp_path.glob("*.*"))])
        assert address in written, way.name
    [forced] = [way for way in every if way.name == ZSTD_BASE]
    assert "force-compression=true" in " ".join(forced.push("vendor/base:1", address, "1"))


def test_a_newer_client_takes_nothing_but_docker_from_another_suite() -> None:
    packages = {"trixie": ("docker.io", "containerd", "cosign"), "bookworm": ("runc",)}
    found = newer_packages(Distribution("bookworm", packages)).packages
    assert found["trixie"] == ("cosign",)
    assert set(found["bookworm"]) == {"runc", "pigz", "libzopfli1"}
    assert set(found["sid"]) == {"docker.io", "docker-cli", "containerd"}
    # Debian 13's own sources have no suite by name.
    found = newer_packages(Distribution("trixie", {"": ("containerd", "runc")})).packages
    assert set(found[""]) == {"runc", "pigz", "libzopfli1"}


def test_the_memory_of_an_engine_counts_where_it_is_named(tmp_path: Path) -> None:
    beside = "import sys; x = bytearray(b'x') * (64 << 20); print(flush=True); sys.stdin.read()"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", beside], stdin=pipe, stdout=pipe) as engine:
        assert engine.stdout is not None
        engine.stdout.readline()
        words = [sys.executable, "-c", "pass"]
        alone = measure(words, tmp_path, os.environ)
        both = measure(words, tmp_path, os.environ, [engine.pid])
        engine.communicate()
    assert alone.peak_bytes < 64 * MEBIBYTE < both.peak_bytes


def test_time_in_which_several_run_counts_once() -> None:
    assert covered([(4, 5), (0, 2), (1, 3), (1, 2)]) == 4
    assert covered([]) == 0


def test_an_account_of_a_publication_adds_up_to_the_whole() -> None:
    marks = [
        (1.0, "a  push v1"),
        (3.0, "a  read back"),
        (3.5, "a  sign"),
        (8.0, "a  => published"),
    ]
    log = "sign 103.5 104.5\nattest 104.0 106.0\nattest 107.0 107.5\n"
    assert account_of(100.0, 9.0, marks, log) == (
        "One publication of 9.0 s, accounted for: until the first push began 1.0 s, "
        "the layers 2.0 s, read back 0.5 s, signatures, statements and tags 4.5 s, "
        "catalogue 1.0 s. During 3.0 s of it cosign ran: 1 sign, 2 attest."
    )
