"""Writes a log like SGLang's and answers /generate with made-up tokens; STAND_IN breaks it.

A stand-in: the real server needs a GPU. Its log lines are those of tests/data/serve_logs.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import Any

from stand_in import HOW, WORDS, is_corrupted, option, serve, tokens

RANKS = int(option("--tp"))
EAGER = "--disable-cuda-graph" in WORDS
CORRUPTED = is_corrupted(EAGER)
STARTED = "[2026-11-23 20:00:00"


def say(text: str, rank: int | None = None) -> None:
    at = f" TP{rank}" if rank is not None and RANKS > 1 else ""
    sys.stderr.write(f"{STARTED}{at}] {text}\n")
    sys.stderr.flush()


def die() -> None:
    say("Decode batch, #running-req: 1, cuda graph: True")
    sys.stderr.write("Fatal Python error: Aborted\n")
    say("Subprocess scheduler_0 (pid=1) crashed with exit code -6. Triggering SIGQUIT")
    os._exit(1)


def answers(body: dict[str, Any]) -> list[dict[str, object]]:
    count = body["sampling_params"]["max_new_tokens"]
    sampled = body["sampling_params"]["temperature"] > 0
    found = []
    for prompt in body["input_ids"]:
        made, logprobs = tokens(prompt, count, sampled, EAGER, CORRUPTED)
        said = [[logprob, token, None] for logprob, token in zip(logprobs, made, strict=True)]
        found.append({"output_ids": made, "meta_info": {"output_token_logprobs": said}})
    say(f"Decode batch, #running-req: 1, cuda graph: {not EAGER}", 0)
    return found


def capture() -> None:
    for phase, size in (("prefill", "num_tokens"), ("decode", "bs")):
        for rank in range(RANKS):
            say(f"Capture target {phase} CUDA graph begin. backend=full, {size}=[1, 2]", rank)
        if "fails-in-capture" in HOW:
            say("Scheduler hit an exception: Traceback (most recent call last):", 0)
            sys.stderr.write("torch.AcceleratorError: previous error during capture\n")
            sys.exit(1)
        bar = "batches (bs" if phase == "decode" else "num tokens (num_tokens"
        for number in (2, 1):
            sys.stderr.write(f"\rCapturing {bar}={number} avail_mem=1 GB):   0%|")
            if os.environ.get("SERVE_PROBE_ROOTS"):
                for _ in range(RANKS):
                    text = f"graph with roots {number} of nodes 40"
                    sys.stderr.write(f"[serve-probe pid=1 t=1.000] roots: {text}\n")
        sys.stderr.write("\n")
        for rank in range(RANKS):
            say(f"Capture target {phase} CUDA graph end. elapsed=0.10 s, mem usage=0", rank)


def stop(*_: object) -> None:
    if "ignores-sigterm" not in HOW:
        say("Gracefully exiting... Remaining number of requests 0.")
        os._exit(0)


def main() -> None:
    signal.signal(signal.SIGTERM, stop)
    say(f"started as {' '.join(WORDS)}")
    if RANKS > 1:
        say("[AR] Using CustomAllReduceV2 (JIT-compiled)", 0)
    if "leaves-a-process" in HOW:
        subprocess.Popen(["sleep", "100"])
    if EAGER and "eager-dies" in HOW:
        sys.exit("ValueError: nothing works without graphs")
    if not EAGER:
        capture()
    serve(int(option("--port")), answers, "max_new_tokens", die)
    if "never-ready" not in HOW:
        say("The server is fired up and ready to roll!")
    while True:
        time.sleep(60)


if __name__ == "__main__":
    main()
