"""Writes a log like vLLM's and answers /v1/completions with made-up tokens; STAND_IN breaks it.

A stand-in: the real server needs a GPU. Its log lines are those of vLLM 0.26.0 at the level of
DEBUG. `second-runner` in STAND_IN: it does not say what its decoding ran as.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

from stand_in import HOW, WORDS, is_corrupted, option, serve, tokens

RANKS = int(option("--tensor-parallel-size"))
EAGER = any('"cudagraph_mode": "NONE"' in word for word in WORDS)
DECODE_ONLY = any("FULL_DECODE_ONLY" in word for word in WORDS)
CORRUPTED = is_corrupted(EAGER)
SECOND = "second-runner" in HOW
DEBUG = os.environ["VLLM_LOGGING_LEVEL"] == "DEBUG"


def say(text: str, process: str = "APIServer", level: str = "INFO") -> None:
    if level != "DEBUG" or DEBUG:
        sys.stderr.write(f"({process} pid=7) {level} 11-26 20:00:00 [v1/a.py:1] {text}\n")
        sys.stderr.flush()


def uvicorn(text: str) -> None:
    sys.stderr.write(f"(APIServer pid=7) INFO:     {text}\n")
    sys.stderr.flush()


def worker(rank: int) -> str:
    return f"Worker_TP{rank}" if RANKS > 1 else "EngineCore"


def die() -> None:
    say("Engine 000: Avg prompt throughput: 0.4 tokens/s, Avg generation throughput: 9.9 tokens/s")
    say("[shutdown] MPClient: engine core exited unexpectedly; starting cleanup", level="WARNING")
    uvicorn("Shutting down")
    uvicorn("Application shutdown complete.")
    os._exit(0)


def answers(body: dict[str, Any]) -> dict[str, object]:
    count, choices = body["max_tokens"], []
    for index, prompt in enumerate(body["prompt"]):
        made, logprobs = tokens(prompt, count, body["temperature"] > 0, EAGER, CORRUPTED)
        said = {"token_logprobs": logprobs} if "logprobs" in body else None
        choices.append({"index": index, "token_ids": made, "logprobs": said})
    if not (SECOND or "says-nothing-of-decoding" in HOW):
        mode = "NONE" if EAGER else "FULL"
        say("| Unpadded Tokens | Padded Tokens | Num Paddings | Runtime Mode | Count |")
        say(f"| 6               | 6             | 0            | NONE         | {1:<5} |")
        say(f"| 1               | 1             | 0            | {mode:<12} | {count:<5} |")
    return {"choices": choices[::-1]}


def capture() -> None:
    modes = ["FULL"] if DECODE_ONLY else ["PIECEWISE", "FULL"]
    for mode in modes:
        for number, size in enumerate((2, 1), 1):
            for rank in range(RANKS):
                if SECOND:
                    text = f"CG Capture: mode={mode}, batch_desc=D(cg_mode=..., num_tokens={size})"
                else:
                    text = f"Capturing a cudagraph on ({mode},BatchDescriptor(num_tokens={size}))"
                if not ("rank-misses-a-size" in HOW and (rank, size) == (RANKS - 1, 1)):
                    say(text, worker(rank), "DEBUG")
            if "fails-in-capture" in HOW:
                fail()
            bar = f"\r({worker(0)} pid=7) Capturing CUDA graphs ({mode}): {50 * number:3d}%|##| "
            sys.stderr.write(f"{bar}{number}/2 [00:00<00:00,  9.32it/s]")
        sys.stderr.write("\n")
    for rank in range(RANKS):
        say("Graph capturing finished in 1 secs, took 0.10 GiB", worker(rank))


def fail() -> None:
    say("EngineCore failed to start.", "EngineCore", "ERROR")
    say("Traceback (most recent call last):", "EngineCore", "ERROR")
    say("torch.AcceleratorError: previous error during capture", "EngineCore", "ERROR")
    sys.exit(1)


def stop(*_: object) -> None:
    say("[shutdown] API server: shutdown triggered")
    uvicorn("Application shutdown complete.")
    os._exit(143 if "ends-with-another-status" in HOW else 0)


def main() -> None:
    signal.signal(signal.SIGTERM, stop)
    say(f"started as {' '.join(WORDS)}")
    say(f"Using cache directory: {os.environ['VLLM_CACHE_ROOT']} for vLLM's torch.compile")
    say("Initializing a V1 LLM engine (v0.26.0) with config: model='m'", "EngineCore")
    if SECOND:
        say("Using V2 Model Runner", "EngineCore")
    if RANKS > 1:
        for rank in range(RANKS):
            say(
                "Using ['CUSTOM', 'PYNCCL'] all-reduce backends (in dispatch order) for group "
                "'tp:0' out of potential backends: ['AITER_CUSTOM', 'CUSTOM', 'PYNCCL'].",
                worker(rank),
            )
    if not EAGER:
        capture()
    serve(int(option("--port")), answers, "max_tokens", die)
    uvicorn("Application startup complete.")
    while True:
        time.sleep(60)


if __name__ == "__main__":
    main()
