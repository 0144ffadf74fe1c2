"""`graph-probe serve` against a stand-in for SGLang's server, in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from graph_probe.device import Device, RuntimeFacts
from image_servers import SERVERS
from raw_logs import PACKAGES, PROJECT
from serve_probe.findings import ServeFindings
from serve_probe.machine import Machine
from serve_probe.options import parse
from serve_probe.provocation import INJECTION, KIND, PROVOCATIONS, RANK, Provocation
from serve_probe.server import Servers
from serve_probe.serving import Place
from serve_probe.session import Session
from served import PROGRAM, environment, serve

LAUNCHER = PROJECT / "images" / "rootfs" / "usr" / "local" / "bin" / "graph-probe"


def test_both_servers_of_every_size_are_compared() -> None:
    done = serve()
    assert done.code == 0, done.found["sentence"]
    assert [result["tensor_parallel"] for result in done.found["sizes"]] == [1, 2]
    assert done.failed() == set()
    names = [check["name"] for check in done.found["sizes"][1]["checks"]]
    assert {"captured", "all-reduce", "graph-equals-eager", "repeat", "batch", "stopped"} <= set(
        names
    )
    for result in done.found["sizes"]:
        for server in ("graph", "eager"):
            loads = result[server]["loads"]
            assert [(e["concurrency"], e["requests"], e["tokens"]) for e in loads] == [
                (1, 1, 512),
                (4, 16, 16 * 256),
                (8, 32, 32 * 256),
            ]
            assert all(load["tokens_per_second"] > 0 for load in loads)


@pytest.mark.parametrize(
    ("how", "code", "failed"),
    [
        ("eager-differs", 11, {"graph-equals-eager"}),
        ("nan", 11, {"finite", "repeat", "batch", "graph-equals-eager"}),
        ("leaves-a-process", 46, {"stopped"}),
        ("fails-in-capture", 40, {"ready", "graph-equals-eager"}),
    ],
)
def test_what_a_server_does_wrong_fails_its_own_check(
    how: str, code: int, failed: set[str]
) -> None:
    done = serve("--tp", "1", how=how)
    assert (done.code, done.failed()) == (code, failed)


def test_a_server_that_never_becomes_ready_has_hung() -> None:
    done = serve("--tp", "1", "--ready-timeout", "1", how="never-ready")
    assert done.code == 44
    assert done.found["sizes"][0]["graph"]["state"] == "hung"
    assert done.found["sizes"][0]["graph"]["log_tail"]


def test_the_whole_has_a_deadline_and_leaves_no_server(tmp_path: Path) -> None:
    done = serve("--timeout", "2", "--logs", str(tmp_path), how="never-ready")
    assert done.code == 30
    assert servers_of(tmp_path) == []


def test_a_failure_while_decoding_is_provoked_and_judged() -> None:
    # abort-when-triggered acts in a real server only: here the server dies of the long request.
    done = serve("--provoke", "abort-decoding", how="dies-while-decoding")
    assert done.code == 0, done.found["provoked"]
    (provoked,) = done.found["provoked"]
    assert (provoked["run"]["state"], provoked["right"]) == ("aborted-decoding", True)


def test_a_failure_that_does_not_come_is_misjudged() -> None:
    done = serve("--provoke", "kill-in-capture")
    assert done.code == 47
    assert "kill-in-capture" in done.found["sentence"]


def test_a_control_whose_thread_never_ran_proves_nothing() -> None:
    done = serve("--provoke", "query-relaxed")
    assert done.code == 47
    assert "did not act" in done.found["provoked"][0]["found"]


def test_a_race_in_which_no_capture_was_held_open_proves_nothing() -> None:
    done = serve("--race", "--tp", "1")
    assert (done.code, done.failed()) == (46, {"held-open"})


def test_roots_are_counted_of_the_server_with_graphs_alone() -> None:
    done = serve("--roots", "--tp", "2")
    assert done.code == 0, done.found["sentence"]
    (result,) = done.found["sizes"]
    assert result["graphs"] == {
        "captured": 8,
        "with_several_roots": 4,
        "largest_root_count": 2,
        "largest_node_count": 40,
        "unread": 0,
    }
    assert "roots-read" in [check["name"] for check in result["checks"]]


def test_without_roots_nothing_is_injected_and_nothing_counted() -> None:
    done = serve("--tp", "1")
    assert done.found["sizes"][0]["graphs"] is None


@pytest.mark.parametrize("other", [["--race"], ["--provoke", "query"]])
def test_roots_are_counted_in_plain_servers_only(other: list[str]) -> None:
    done = serve("--roots", *other)
    assert done.code == 2
    assert "leave out --provoke and --race" in done.found["sentence"]


def test_the_object_is_written_server_by_server(tmp_path: Path) -> None:
    output = tmp_path / "serve.json"
    done = serve("--tp", "1", "--output", str(output))
    assert json.loads(output.read_text()) == done.found
    assert [path.name for path in tmp_path.iterdir()] == ["serve.json"]


def test_a_place_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    done = serve("--output", str(tmp_path / "none" / "serve.json"))
    assert done.code == 2
    assert "cannot be written" in done.found["sentence"]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_signal_ends_it_and_every_server(tmp_path: Path, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "--tp", "1", "--logs", str(tmp_path)],
        env=environment("never-ready"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 30
    while not servers_of(tmp_path) and time.monotonic() < deadline:
        os.sched_yield()
    assert servers_of(tmp_path)
    process.send_signal(number)
    process.communicate(timeout=30)
    expected = {signal.SIGKILL: -9}.get(number, 128 + number)
    assert process.returncode == expected
    deadline = time.monotonic() + 30
    while servers_of(tmp_path) and time.monotonic() < deadline:
        os.sched_yield()
    assert servers_of(tmp_path) == []


def servers_of(logs: Path) -> list[int]:
    """The processes that write to a log of this folder: the servers, found by their output."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            written = (folder / "fd" / "1").readlink()
        except OSError:
            continue
        if folder.name.isdigit() and logs in written.parents:
            found.append(int(folder.name))
    return found


def test_arguments_after_two_dashes_go_to_the_server(tmp_path: Path) -> None:
    # The stand-in writes what it was given.
    done = serve("--tp", "1", "--logs", str(tmp_path), "--", "--mem-fraction-static", "0.5")
    assert done.code == 0
    for name in ("tp1-graph", "tp1-eager"):
        first = (tmp_path / f"{name}.log").read_text().splitlines()[0]
        assert first.endswith("--mem-fraction-static 0.5")


def test_what_takes_all_memory_of_a_gpu_or_all_gpus_has_them_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Else another server beside it runs out of memory, and is not what was to be judged."""
    running: list[Provocation] = []
    pair = threading.Barrier(2, timeout=60)

    def provoke(_: Session, provoked: Provocation, gpus: list[str]) -> None:
        running.append(provoked)
        if provoked.alone:
            assert running == [provoked]
        else:
            pair.wait()  # comes back only where another one is running, too
        running.remove(provoked)

    monkeypatch.setattr(Session, "_provoke_one", provoke)
    kinds = "missing-rank out-of-memory query kill-in-capture query-rank-1"
    options = parse(["--provoke", *kinds.split(), "--jobs", "2"])
    assert [kind.value for kind in options.provoke if not PROVOCATIONS[kind].alone] == [
        "query",
        "kill-in-capture",
    ]
    gpus = tuple(Device(number, "no GPU", "sm_00", "sm_00") for number in range(2))
    machine = Machine(RuntimeFacts("cuda", "none", 0, "CUDA 0.0", False), gpus, {})
    findings = ServeFindings(machine=machine)
    Session(
        Servers(),
        options,
        Place(SERVERS["sglang"], tmp_path, tmp_path, "cuda", 60),
        findings,
        print,
    ).run()
    assert running == []


@pytest.mark.parametrize("words", ["--tp 8 --provoke query", "--tp 1 8 --provoke missing-rank"])
def test_a_size_is_refused_where_it_says_nothing_of_what_is_provoked(words: str) -> None:
    done = serve(*words.split(), gpus=8)
    assert done.code == 2
    assert "give 2, 4 or 8, with query-rank-1 or missing-rank" in done.found["sentence"]


@pytest.mark.parametrize("server", sorted(SERVERS))
def test_both_servers_of_eight_ranks_are_compared(server: str) -> None:
    """The ranks' lines lie between one another, and each rank's are told apart."""
    plain = serve("--server", server, "--tp", "8", gpus=8)
    assert (plain.code, plain.failed()) == (0, set()), plain.found["sentence"]


def test_a_failure_of_one_rank_is_provoked_among_as_many_as_are_asked_for(tmp_path: Path) -> None:
    # The stand-in differs from eager, as a server does that lost a rank; nothing acts in it.
    kinds = ("query", "missing-rank", "query-rank-1")
    place = ("--server", "vllm", "--logs", str(tmp_path))
    done = serve("--provoke", *kinds, "--tp", "8", *place, how="eager-differs", gpus=8)
    provoked = {each["kind"]: each for each in done.found["provoked"]}
    ranks = {kind: each["tensor_parallel"] for kind, each in provoked.items()}
    assert ranks == {"query": 1, "missing-rank": 8, "query-rank-1": 8}
    assert {kind for kind, each in provoked.items() if each["right"]} == {"missing-rank"}
    assert done.found["sentence"].endswith("These: query, query-rank-1-tp8.")
    assert {path.stem for path in tmp_path.glob("*.log")} == {
        *("provoke-query", "provoke-query-rank-1-tp8", "provoke-missing-rank-tp8", "tp8-eager")
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--tp", "3"], "3"),
        (["--provoke", "luck"], "luck"),
        (["--jobs", "0"], "0 is not a number from 1 to 64"),
        (["--timeout", "-1"], "-1 is no number of seconds above 0"),
        (["--tp", "8"], "--tp 8 asks for more than the 2 visible GPUs"),
    ],
)
def test_a_bad_argument_is_a_sentence(arguments: list[str], said: str) -> None:
    done = serve(*arguments)
    assert done.code == 2
    assert said in done.found["sentence"]
    assert "Traceback" not in done.stderr


def test_without_a_gpu_the_launcher_says_so_and_starts_nothing() -> None:
    done = subprocess.run([LAUNCHER, "serve", "--json"], capture_output=True, text=True, timeout=60)
    found = json.loads(done.stdout)
    assert done.returncode == found["exit_code"] == 20
    assert found["sizes"] == []


def test_the_servers_environment_is_offline_and_has_no_package_of_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from serve_probe.serving import PACKAGES as OURS
    from serve_probe.serving import _environment

    monkeypatch.setenv("PYTHONPATH", f"{OURS}{os.pathsep}/elsewhere")
    monkeypatch.setenv("NO_PROXY", "example.org")
    given = _environment({})
    assert given["PYTHONPATH"] == "/elsewhere"
    assert given["NO_PROXY"] == "example.org,127.0.0.1,localhost"
    assert given["HF_HUB_OFFLINE"] == "1"
    provoked = _environment({"SERVE_PROBE_PROVOKE": "query"})["PYTHONPATH"].split(os.pathsep)
    assert provoked[0].endswith("serve_probe/injection")
    looked_at = _environment({"SERVE_PROBE_ROOTS": "1"})["PYTHONPATH"].split(os.pathsep)
    assert looked_at[0].endswith("serve_probe/injection")


@pytest.mark.parametrize(
    "injected", sorted({entry.injected for entry in PROVOCATIONS.values()} | {"race"})
)
def test_what_is_injected_starts_in_any_process_without_a_word(injected: str) -> None:
    paths = os.pathsep.join([str(INJECTION), str(PACKAGES)])
    done = subprocess.run(
        [sys.executable, "-c", "import sitecustomize; print(sitecustomize.KIND)"],
        env={**os.environ, "PYTHONPATH": paths, KIND: injected, RANK: "1"},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.stdout, done.stderr) == (f"{injected}\n", "")
