"""Measures the capture guard, compiled for CUDA's names, beside PyTorch on an NVIDIA GPU.

    python3 capture_guard_on_cuda.py GUARD.so          # guard/build GUARD.so -DCAPTURE_GUARD_CUDA

A rogue thread queries events in GLOBAL mode, which on CUDA kills a GLOBAL capture as ROCm 7.2.0's
bug does on ROCm. Each run is a process of its own: captures beside the rogue thread with and
without the guard, then a graph-captured greedy decode, whose tokens and speed are compared. It says
nothing about ROCm. Needs torch and one NVIDIA GPU. Exit codes: 0 the guard did what it should; 1 it
did not; 2 it cannot be measured.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import statistics
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

CAPTURES = 200
BATCHES = (1, 2, 4, 8)
STEPS = 128
LAYERS, WIDTH, HEADS, VOCABULARY = 8, 1024, 16, 8192
TIMED_REPLAYS = 5


class Rogue:
    """A thread that queries an event of its own stream without pause, in CUDA's default mode."""

    def __init__(self, torch: Any) -> None:
        self.queries = self.completions = 0
        self.refused = ""
        self._torch = torch
        self._over = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._query)

    def __enter__(self) -> Rogue:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _query(self) -> None:
        stream = self._torch.cuda.Stream()
        event = self._torch.cuda.Event()
        event.record(stream)
        while not self._over.is_set():
            try:
                if event.query():
                    self.completions += 1
            except Exception as error:  # what it was refused with is part of the result
                self.refused = self.refused or str(error).splitlines()[0]
            self.queries += 1
            self._ready.set()


class Model:
    """A tiny decoder with random weights; tokens, position and caches are on the device."""

    def __init__(self, torch: Any, batch: int) -> None:
        self.torch, self.batch = torch, batch
        torch.manual_seed(1234)

        def weights(*shape: int) -> Any:
            return torch.randn(*shape, device="cuda", dtype=torch.float32) * shape[-1] ** -0.5

        self.embedding = weights(VOCABULARY, WIDTH) * WIDTH**0.5
        self.head = weights(VOCABULARY, WIDTH)
        self.layers = [
            (weights(3 * WIDTH, WIDTH), weights(WIDTH, WIDTH), weights(2 * WIDTH, WIDTH),
             weights(WIDTH, 2 * WIDTH))
            for _ in range(LAYERS)
        ]  # fmt: skip
        shape = (LAYERS, 2, batch, HEADS, STEPS + 1, WIDTH // HEADS)
        self.cache = torch.zeros(shape, device="cuda")
        self.places = torch.arange(STEPS + 1, device="cuda")
        self.position = torch.zeros(1, device="cuda", dtype=torch.long)
        self.tokens = torch.zeros(batch, device="cuda", dtype=torch.long)
        self.made = torch.zeros(batch, STEPS, device="cuda", dtype=torch.long)

    def reset(self) -> None:
        """Back to the prompt: another token for each row."""
        self.cache.zero_()
        self.position.zero_()
        self.made.zero_()
        self.tokens.copy_(self.torch.arange(self.batch, device="cuda") * 37 + 11)

    def step(self) -> None:
        """One greedy token for every row; reads and writes nothing but the device's memory."""
        functional = self.torch.nn.functional
        hidden = self.embedding[self.tokens]
        mask = (self.places <= self.position)[None, None, None, :]
        for number, (qkv, output, up, down) in enumerate(self.layers):
            split = functional.linear(functional.layer_norm(hidden, (WIDTH,)), qkv)
            query, key, value = split.view(self.batch, 3, HEADS, 1, -1).unbind(1)
            for kind, new in enumerate((key, value)):
                self.cache[number, kind].index_copy_(2, self.position, new)
            keys, values = self.cache[number]
            scores = (query @ keys.transpose(-1, -2)) * (WIDTH // HEADS) ** -0.5
            attended = scores.masked_fill(~mask, float("-inf")).softmax(-1) @ values
            hidden = hidden + functional.linear(attended.reshape(self.batch, WIDTH), output)
            inner = functional.gelu(functional.linear(functional.layer_norm(hidden, (WIDTH,)), up))
            hidden = hidden + functional.linear(inner, down)
        logits = functional.linear(functional.layer_norm(hidden, (WIDTH,)), self.head)
        self.tokens.copy_(logits.argmax(-1))
        self.made.index_copy_(1, self.position, self.tokens[:, None])
        self.position.add_(1)


def survivors(torch: Any) -> dict[str, Any]:
    """Opens captures beside the rogue thread until one dies or all have lived."""
    tensor = torch.ones(1024, device="cuda")
    with Rogue(torch) as rogue:
        for number in range(CAPTURES):
            graph = torch.cuda.CUDAGraph()
            try:
                with torch.cuda.graph(graph, capture_error_mode="global"):
                    for _ in range(20):
                        tensor.mul_(1.0)
            except Exception as error:
                died = str(error).splitlines()[0]
                return {"lived": number, "died": died, "refused": rogue.refused}
            graph.replay()
        torch.cuda.synchronize()
    return {"lived": CAPTURES, "died": "", "refused": rogue.refused, "queries": rogue.queries,
            "completions": rogue.completions}  # fmt: skip


def decode(torch: Any, rogue: bool) -> dict[str, Any]:
    """Eager and captured greedy decode; the rogue thread, if any, runs during the captures."""
    tokens: dict[int, Any] = {}
    speed: dict[int, float] = {}
    for batch in BATCHES:
        model = Model(torch, batch)
        model.reset()
        for _ in range(STEPS):
            model.step()
        eager = model.made.tolist()
        graph = torch.cuda.CUDAGraph()
        beside = Rogue(torch) if rogue else contextlib.nullcontext()
        with beside, torch.cuda.graph(graph, capture_error_mode="global"):
            model.step()
        times = []
        for _ in range(TIMED_REPLAYS):
            model.reset()
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            for _ in range(STEPS):
                graph.replay()
            end.record()
            torch.cuda.synchronize()
            times.append(begin.elapsed_time(end) / 1000)
        replayed = model.made.tolist()
        if replayed != eager:
            return {"problem": f"batch {batch}: replay gave other tokens than eager"}
        tokens[batch] = replayed
        speed[batch] = batch * STEPS / statistics.median(times)
    distinct = len({token for rows in tokens.values() for row in rows for token in row})
    return {"tokens": tokens, "speed": speed, "distinct": distinct, "problem": ""}


def counts() -> list[int]:
    """What the guard has counted in this process; empty where it is not loaded."""
    function = getattr(ctypes.CDLL(None), "capture_guard_counts", None)
    found = (ctypes.c_ulong * 5)()
    if function is None:
        return []
    function(found)
    return list(found)


def child(what: str) -> int:
    """One process's part; prints its findings as JSON."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = False
    # The rogue thread must not keep the interpreter from the thread that captures.
    sys.setswitchinterval(1e-5)
    torch.cuda.init()
    found = survivors(torch) if what == "captures" else decode(torch, what == "decode-rogue")
    with Path("/proc/self/maps").open() as maps:
        paths = {line.split()[-1] for line in maps if "libcudart" in line}
    facts = {"guard": counts(), "runtime": sorted(paths), "torch": torch.__version__,
             "cuda": torch.version.cuda, "device": torch.cuda.get_device_name(0)}  # fmt: skip
    print(json.dumps({**found, **facts}), flush=True)
    # A dead capture leaves torch in a state that its destructors stumble over.
    os._exit(0)


def run(what: str, guard: str) -> dict[str, Any]:
    """Runs one part in a process of its own, with the guard where one is named."""
    environment = {**os.environ, **({"LD_PRELOAD": guard} if guard else {})}
    done = subprocess.run(
        [sys.executable, __file__, "--child", what],
        env=environment,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    if done.returncode != 0:
        print(f"{what}: ended with {done.returncode}\n{done.stderr[-3000:]}", file=sys.stderr)
        raise SystemExit(2)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> int:
    """Runs all parts, prints what was found; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("guard", nargs="?")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=3, help="decodes with and without the guard")
    options = parser.parse_args()
    if options.child:
        return child(options.child)
    if options.guard is None:
        parser.error("name the guard's library")
    guard = str(Path(options.guard).resolve())
    results: dict[str, Any] = {"without": run("captures", ""), "with": run("captures", guard)}
    for name in ("without", "with"):
        print(f"captures {name} the guard: {json.dumps(results[name])}", flush=True)
    bare, guarded = [], []
    for _ in range(options.rounds):
        bare.append(run("decode", ""))
        guarded.append(run("decode-rogue", guard))
    problems = [entry["problem"] for entry in (*bare, *guarded) if entry["problem"]]
    same = not problems and all(entry["tokens"] == bare[0]["tokens"] for entry in (*bare, *guarded))
    for batch in map(str, BATCHES) if not problems else ():
        rows = [[round(entry["speed"][batch]) for entry in kind] for kind in (bare, guarded)]
        print(f"batch {batch}: replay tokens/s without {rows[0]}, with {rows[1]}")
    print(f"tokens the same: {same}; distinct {bare[0].get('distinct')}; problems {problems}")
    print(f"guard counts in the last decode: {guarded[-1]['guard']}")
    lived = results["with"]["lived"] == CAPTURES and results["without"]["lived"] < CAPTURES
    return 0 if lived and same else 1


if __name__ == "__main__":
    sys.exit(main())
