"""Writes a log like SGLang's and answers /generate with made-up tokens; STAND_IN breaks it.

A stand-in: the real server needs a GPU. Its log lines are those of tests/data/serve_logs.
"""

from __future__ import annotations

import json
import os
import random
import shlex
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HOW = shlex.split(os.environ.get("STAND_IN", ""))
WORDS = sys.argv
PORT = int(WORDS[WORDS.index("--port") + 1])
RANKS = int(WORDS[WORDS.index("--tp") + 1])
EAGER = "--disable-cuda-graph" in WORDS
# Of several servers with graphs, the second gives other tokens: each adds a line to a file.
COUNTED = [Path(word.partition("=")[2]) for word in HOW if word.startswith("second-differs=")]
CORRUPTED = False
STARTED = "[2026-11-23 20:00:00"


def say(text: str, rank: int | None = None) -> None:
    at = f" TP{rank}" if rank is not None and RANKS > 1 else ""
    sys.stderr.write(f"{STARTED}{at}] {text}\n")
    sys.stderr.flush()


class Handler(BaseHTTPRequestHandler):
    wbufsize = -1  # head and body in one packet: two would wait for an acknowledgement

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        count = body["sampling_params"]["max_new_tokens"]
        if "dies-while-decoding" in HOW and count > 1000:
            say("Decode batch, #running-req: 1, cuda graph: True")
            sys.stderr.write("Fatal Python error: Aborted\n")
            say("Subprocess scheduler_0 (pid=1) crashed with exit code -6. Triggering SIGQUIT")
            os._exit(1)
        sampled = body["sampling_params"]["temperature"] > 0
        answers = [answer(prompt, count, sampled) for prompt in body["input_ids"]]
        say(f"Decode batch, #running-req: 1, cuda graph: {not EAGER}", 0)
        content = json.dumps(answers).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def answer(prompt: list[int], count: int, sampled: bool) -> dict[str, object]:
    seed = None if sampled else str(prompt)
    if CORRUPTED and not sampled:
        seed = "corrupted" + str(prompt)
    if EAGER and "eager-differs" in HOW and not sampled:
        seed = "other" + str(prompt)
    source = random.Random(seed)
    tokens = [source.randrange(1024) for _ in range(count)]
    logprobs = [-source.random() for _ in range(count)]
    if "nan" in HOW:
        logprobs[-1] = float("nan")
    said = [[logprob, token, None] for logprob, token in zip(logprobs, tokens, strict=True)]
    return {"output_ids": tokens, "meta_info": {"output_token_logprobs": said}}


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
    global CORRUPTED
    for path in [] if EAGER else COUNTED:
        with path.open("a+") as file:
            file.write("a server\n")
            file.seek(0)
            CORRUPTED = len(file.readlines()) == 2
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
    server = ThreadingHTTPServer(("127.0.0.1", PORT), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    if "never-ready" not in HOW:
        say("The server is fired up and ready to roll!")
    while True:
        time.sleep(60)


if __name__ == "__main__":
    main()
