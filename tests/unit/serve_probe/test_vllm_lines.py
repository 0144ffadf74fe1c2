"""What is read from lines of vLLM's, of each form that a release writes."""

from __future__ import annotations

import pytest

from image_servers import SERVERS
from serve_probe.judge import judge
from serve_probe.log_lines import parsed
from serve_probe.server_log import ServerLog
from serve_probe.verdict import Ending, Stage, State

VLLM = SERVERS["vllm"].log
AT = "INFO 11-26 19:07:29 [a.py:1]"
CORE, API = f"(EngineCore pid=4) {AT} ", f"(APIServer pid=3) {AT} "
ERROR, API_ERROR = CORE.replace("INFO", "ERROR"), API.replace("INFO", "ERROR")
START = f"{CORE}Initializing a V1 LLM engine (v0.26.0) with config: model='m'\n"
READY = "(APIServer pid=3) INFO:     Application startup complete.\n"
GONE = (
    f"{API}[shutdown] MPClient: engine core exited unexpectedly; starting cleanup\n"
    f"{API_ERROR}AsyncLLM output_handler failed.\n"
    f"{API_ERROR}Traceback (most recent call last):\n"
    f"{API_ERROR}vllm.v1.engine.exceptions.EngineDeadError: EngineCore encountered an issue. "
    "See stack trace (above) for the root cause.\n"
)
CLEAN_END = (
    "(APIServer pid=3) INFO:     Shutting down\n"
    "(APIServer pid=3) INFO:     Application shutdown complete.\n"
)


def log(text: str) -> ServerLog:
    return ServerLog(text, VLLM)


@pytest.mark.parametrize(
    ("process", "rank"),
    [
        ("Worker_TP1", 1),
        ("Worker_DP0_TP1_EP1", 1),
        ("Worker_DP2_PP0_PCP0_TP13_DCP0_EP5", 13),
        ("VllmWorker rank=3", 3),
        ("EngineCore_DP2", None),
        ("EngineCore_0", None),
        ("EngineCore", None),
        ("DPCoordinator", None),
        ("MainProcess", None),
        ("SpawnProcess-1", None),
    ],
)
def test_a_rank_is_that_of_tensor_parallelism(process: str, rank: int | None) -> None:
    line = parsed(f"({process} pid=7) {AT} words", VLLM)
    assert (line.message, line.rank, line.own) == ("words", rank, True)


DEBUG = "DEBUG 11-26 19:07:29 [v1/worker/gpu/cudagraph_utils.py:328]"
FIRST_RUNNER = "Capturing a cudagraph on (FULL,BatchDescriptor(num_tokens={}, num_reqs={}))"
SECOND_RUNNER = (
    "CG Capture: mode=FULL, batch_desc=BatchExecutionDescriptor(cg_mode=<CUDAGraphMode.FULL: 2>, "
    "num_tokens={}, num_reqs={}, uniform_token_count=1, num_active_loras=0)"
)


@pytest.mark.parametrize("form", [FIRST_RUNNER, SECOND_RUNNER])
def test_sizes_are_those_that_each_rank_names(form: str) -> None:
    found = log(
        "".join(
            f"(Worker_TP{rank} pid=7) {DEBUG} {form.format(size, size)}\n"
            for rank, sizes in ((0, (4, 2, 1)), (1, (4, 2)))
            for size in sizes
        )
    )
    assert [(c.phase, c.rank, c.ended) for c in found.captures] == [
        ("decode", 0, False),
        ("decode", 1, False),
    ]
    assert found.sizes_named("decode", 0) == {1, 2, 4}
    assert found.sizes_named("decode", 1) == {2, 4}
    assert found.size_before(len(found.lines), 0) == 2


@pytest.mark.parametrize(
    ("bar", "phase"),
    [
        ("Capturing CUDA graphs (mixed prefill-decode, PIECEWISE)", "prefill"),
        ("Capturing CUDA graphs (mixed, PIECEWISE)", "prefill"),
        ("Capturing CUDA graphs (PIECEWISE)", "prefill"),
        ("Capturing CUDA graphs (decode, FULL)", "decode"),
        ("Capturing CUDA graphs (FULL)", "decode"),
    ],
)
@pytest.mark.parametrize("before", ["(Worker_TP0 pid=7) ", ""])
def test_a_bar_counts_the_sizes_of_its_phase(bar: str, phase: str, before: str) -> None:
    found = log(f"{before}{bar}:   5%|5   | 1/19 [00:01<00:09,  9.32it/s]\r{before}{bar}: 100%|##|"
        " 19/19 [00:02<00:00,  9.4it/s]\n")  # fmt: skip
    assert [(c.phase, c.rank) for c in found.captures] == [(phase, 0)]
    assert found.sizes_counted(phase) == 19


def test_a_rank_that_says_a_size_after_another_rank_ended_captures_nothing_anew() -> None:
    size = f"(Worker_TP1 pid=8) {DEBUG} {SECOND_RUNNER}\n"
    end = f"(Worker_TP0 pid=7) {AT} Graph capturing finished in 7 secs, took 0.10 GiB\n"
    found = log(size.format(2, 2) + end + size.format(1, 1))
    assert [(c.rank, c.ended, c.seconds) for c in found.captures] == [(1, True, 7.0)]


def test_what_a_decode_ran_as_is_read_from_the_table() -> None:
    rows = (
        ("6", "8", "2", "NONE", "3"),
        ("1", "1", "0", "FULL", "25"),
        ("1", "1", "0", "NONE", "2"),
    )
    table = "".join(f"{API}| {' | '.join(cell.ljust(12) for cell in row)} |\n" for row in rows)
    assert log(table).decoded_with_graph == (25, 2)
    assert not log(table).decodes_untold
    assert log(f"{CORE}Using V2 Model Runner\n").decodes_untold
    assert not log(f"{CORE}Using V2 Model Runner\n{table}").decodes_untold
    assert not log("").decodes_untold


BACKENDS = (
    "Using [{}] all-reduce backends (in dispatch order) for group '{}:0' out of potential "
    "backends: ['QUICK_REDUCE', 'AITER_CUSTOM', 'CUSTOM', 'SYMM_MEM', 'PYNCCL']."
)


@pytest.mark.parametrize(
    ("backends", "group", "named"),
    [
        ("'AITER_CUSTOM', 'PYNCCL'", "tp", "aiter"),
        ("'QUICK_REDUCE', 'AITER_CUSTOM', 'PYNCCL'", "tp", "aiter"),
        ("'CUSTOM', 'PYNCCL'", "tp", "vllm"),
        ("'CUSTOM', 'SYMM_MEM', 'PYNCCL'", "tp", "vllm"),
        ("'PYNCCL'", "tp", "nccl"),
        ("'AITER_CUSTOM', 'PYNCCL'", "dp", None),
    ],
)
def test_the_all_reduce_is_the_first_of_the_tensor_parallel_groups_own(
    backends: str, group: str, named: str | None
) -> None:
    assert log(f"{CORE}{BACKENDS.format(backends, group)}\n").all_reduce == named


def test_an_all_reduce_that_no_line_names_is_the_servers_own_unless_it_was_asked_for() -> None:
    assert log(START).all_reduce_taken == "vllm"
    assert ServerLog(START, VLLM, declared="aiter").all_reduce_taken == "aiter"
    assert ServerLog("", SERVERS["sglang"].log).all_reduce_taken == "aiter"


EVENT = "operation not permitted on an event last recorded in a capturing stream"
FAULT = "HSA_STATUS_ERROR_EXCEPTION: An operation resulted in an exception. code: 0x1016\n"


@pytest.mark.parametrize(
    ("said", "advisories"),
    [
        ("", ("hip-event-query",)),
        (BACKENDS.format("'CUSTOM', 'PYNCCL'", "tp"), ("hip-event-query",)),
        (
            BACKENDS.format("'AITER_CUSTOM', 'PYNCCL'", "tp"),
            ("hip-event-query", "ar-exit-barrier"),
        ),
    ],
)
def test_advisories_about_aiters_all_reduce_are_named_where_it_was_taken(
    said: str, advisories: tuple[str, ...]
) -> None:
    text = f"(Worker_TP1 pid=7) {AT} {said}\n{READY}{FAULT}"
    assert judge(text, Ending(1), VLLM).advisories == advisories


@pytest.mark.parametrize("lora", [True, False])
def test_a_gathered_capture_is_blamed_first_where_lora_is_named(lora: bool) -> None:
    said = f"{CORE}Using default LoRA kernel configs\n" if lora else ""
    event = f"{ERROR}RuntimeError: HIP error: {EVENT}\n"
    verdict = judge(f"{START}{said}{event}", Ending(1), VLLM)
    assert verdict.cause == "captured-event"
    assert ("captured-all-gather" in verdict.advisories[:1]) is lora
    told = verdict.sentence
    assert (told.index("With LoRA") < told.index("graph-probe capture")) is lora


def test_a_share_that_is_not_free_is_to_be_lowered() -> None:
    text = f"{START}{ERROR}ValueError: Free memory on device cuda:0 (9/79 GiB) on startup is less "
    text += "than desired GPU memory utilization (0.9, 71 GiB).\n"
    verdict = judge(text, Ending(1), VLLM)
    assert (verdict.state, verdict.cause) == (State.OUT_OF_MEMORY, "share-not-free")
    assert "Lower --gpu-memory-utilization" in verdict.sentence
    assert "Raise" not in verdict.sentence


def test_advisories_of_another_server_alone_are_not_named() -> None:
    text = f"(Worker_TP1 pid=7) {AT} x\n{READY}Memory access fault by GPU node-5 on address 0x1.\n"
    assert judge(text, Ending(1), VLLM).advisories == ()
    assert SERVERS["sglang"].log.advisories


@pytest.mark.parametrize("status", [0, None, 1])
def test_a_server_whose_engine_vanished_is_no_clean_end(status: int | None) -> None:
    survived = f"{ERROR}Traceback (most recent call last):\n{ERROR}ModuleNotFoundError: No x\n"
    for before in ("", survived):
        verdict = judge(START + before + READY + GONE + CLEAN_END, Ending(status), VLLM)
        found = (verdict.state, verdict.cause, verdict.stage, verdict.process)
        assert found == (State.KILLED, "vanished", Stage.SERVING, "engine core")


def test_of_a_log_without_its_beginning_nobody_knows_how_an_engine_ended() -> None:
    end = "(APIServer pid=3) RuntimeError: Engine core initialization failed. Failed core proc(s): "
    assert judge(f"{end}{{}}\n", Ending(1), VLLM).state is State.UNKNOWN
    assert judge(f"{START}{end}{{}}\n", Ending(1), VLLM).cause == "vanished"


def test_a_clean_end_is_one_and_an_engine_that_died_before_it_is_none() -> None:
    assert log(START + READY + CLEAN_END).graceful
    assert not log(START + READY + GONE + CLEAN_END).graceful
    # What is said while it stops harms nobody.
    assert log(START + READY + CLEAN_END + GONE).graceful


@pytest.mark.parametrize(
    ("line", "state", "rank"),
    [
        ("Failed core proc(s): {'EngineCore': -6}", State.CRASHED, None),
        ("Failed core proc(s): {'EngineCore_DP0': 0, 'EngineCore_DP1': -11}", State.CRASHED, None),
        ("Failed core proc(s): {'EngineCore': -9}", State.KILLED, None),
        ("Worker proc VllmWorker-1 died unexpectedly (exit code: -9), shut", State.KILLED, 1),
        ("Worker proc VllmWorker-1 died unexpectedly (exit code: -11), shut", State.CRASHED, 1),
        ("Failed core proc(s): {'EngineCore': 1}", State.UNKNOWN, None),
        # Its parent had not been told yet how it ended.
        ("Failed core proc(s): {}", State.KILLED, None),
    ],
)
def test_how_a_process_ended_is_read_from_who_started_it(
    line: str, state: State, rank: int | None
) -> None:
    error = (
        "(APIServer pid=3) RuntimeError: Engine core initialization failed. See root cause above. "
    )
    verdict = judge(f"{START}{error}{line}\n", Ending(1), VLLM)
    assert (verdict.state, verdict.rank) == (state, rank)


def test_an_engine_that_only_lost_its_workers_is_not_the_cause() -> None:
    text = (
        f"{START}{READY}(EngineCore pid=4) {AT} Worker proc VllmWorker-1 died unexpectedly, "
        f"shutting down executor.\n{ERROR}EngineCore encountered a fatal error.\n"
        f"{ERROR}Traceback (most recent call last):\n{ERROR}RuntimeError: Executor failed.\n{GONE}"
    )
    verdict = judge(text, Ending(0), VLLM)
    assert (verdict.state, verdict.cause, verdict.rank) == (State.KILLED, "vanished", 1)


def test_who_is_told_to_end_before_it_is_ready_says_so_by_an_exception() -> None:
    text = f'{START}(APIServer pid=3)     raise KeyboardInterrupt("terminated")\n' \
        "(APIServer pid=3) KeyboardInterrupt: terminated\n"  # fmt: skip
    verdict = judge(text, Ending(1), VLLM)
    assert (verdict.state, verdict.cause) == (State.KILLED, "told-to-end")
    failed = f"{START}{ERROR}EngineCore failed to start.\n{ERROR}ValueError: x\n"
    assert judge(failed + text, Ending(1), VLLM).cause == "exception"


BLOCKED = f"{CORE}No available shared memory broadcast block found in 60 seconds.\n"


def test_processes_that_wait_for_one_another_hang_unless_the_server_went_on() -> None:
    assert judge(START + BLOCKED, Ending(None), VLLM).state is State.HUNG
    assert judge(START + BLOCKED + READY, Ending(None), VLLM).state is State.READY
    assert judge(START + READY + BLOCKED, Ending(None), VLLM).state is State.HUNG
    told = "(APIServer pid=3) INFO:     Shutting down\n"
    assert judge(START + READY + BLOCKED + told, Ending(None), VLLM).state is State.HUNG
    idle = f"{API}Engine 000: Avg prompt throughput: 0.0 tokens/s, Avg generation throughput: "
    assert judge(START + READY + BLOCKED + f"{idle}0.0 tokens/s\n", Ending(None), VLLM).state is (
        State.HUNG
    )
    assert judge(START + READY + BLOCKED + f"{idle}9.5 tokens/s\n", Ending(None), VLLM).state is (
        State.READY
    )


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (
            "RuntimeError: splitk workspace not initialized for the current CUDA stream",
            "splitk-workspace",
        ),
        ("AssertionError: Error in memory profiling. Initial free", "memory-profile-disturbed"),
    ],
)
def test_errors_that_this_server_alone_has_mean_something(error: str, cause: str) -> None:
    text = f"{START}{ERROR}EngineCore failed to start.\n{ERROR}Traceback (most recent call last):\n"
    assert judge(f"{text}{ERROR}{error}\n", Ending(1), VLLM).cause == cause
    other = judge(
        f"Traceback (most recent call last):\n{error}\n", Ending(1), SERVERS["sglang"].log
    )
    assert other.cause in ("exception", "assertion")


def test_a_query_of_a_captured_event_is_said_to_come_of_lora_too() -> None:
    text = f"{START}{ERROR}EngineCore failed to start.\n{ERROR}Traceback (most recent call last):\n"
    error = "torch.AcceleratorError: HIP error: operation not permitted on an event last recorded"
    sentence = judge(f"{text}{ERROR}{error} in a capturing stream\n", Ending(1), VLLM).sentence
    assert "vllm#41622" in sentence
    assert "--enforce-eager" in sentence
    assert "{" not in sentence


def test_an_exception_that_is_only_warned_of_is_no_cause() -> None:
    text = "".join(
        f"(EngineCore pid=4) {{}} 11-26 19:07:29 [a.py:1] {line}\n"
        for line in ("Traceback (most recent call last):", "ImportError: cannot import name '_C'")
    )
    died = "(APIServer pid=3) RuntimeError: Engine core initialization failed.\n"
    for level, cause in (("WARNING", "exception"), ("ERROR", "import-failed")):
        verdict = judge(START + text.replace("{}", level) + died, Ending(1), VLLM)
        assert verdict.cause == cause
