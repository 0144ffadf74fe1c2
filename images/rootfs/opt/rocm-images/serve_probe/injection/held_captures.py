"""Holds captures open beside NCCL work that is not done: the watchdog race, at leisure.

Started by sitecustomize.py, beside which it lies, in those processes of a server that have a model.
"""

from __future__ import annotations

import time


class Race:
    """Several NCCL groups with work that is not done, and a capture that is held open beside them.

    Each group's watchdog then polls its work's events, every 100 ms, for as long as the capture is
    open; that is what a server races by chance, at leisure. Nothing here touches a watchdog.
    """

    GROUPS, WORKS, CAPTURES, SECONDS, MARGIN = 4, 2, 5, 2.0, 2.0

    def __init__(self, say):
        self.say = say
        self.groups, self.streams, self.pending = [], [], []
        self.cycles = 0
        self.began = 0.0

    def prepare(self):
        import torch
        from torch import distributed

        for _ in range(self.GROUPS):
            group = distributed.new_group(backend="nccl")
            tensor = torch.ones(1024, device="cuda")
            distributed.all_reduce(tensor, group=group)
            self.groups.append(
                (group, [torch.ones(1024, device="cuda") for _ in range(self.WORKS)])
            )
            self.streams.append(torch.cuda.Stream())
        sample = 200_000_000
        for _ in range(2):  # the first one wakes the GPU's clock up
            torch.cuda.synchronize()
            started = time.monotonic()
            torch.cuda._sleep(sample)
            torch.cuda.synchronize()
        self.cycles = int(sample / max(time.monotonic() - started, 1e-4))
        self.say(f"race: {self.GROUPS} groups, {self.cycles} cycles a second")

    def before(self, number):
        if number > self.CAPTURES:
            return
        import torch
        from torch import distributed

        if not self.groups:
            self.prepare()
        for (group, tensors), stream in zip(self.groups, self.streams, strict=True):
            with torch.cuda.stream(stream):
                torch.cuda._sleep(int(self.cycles * (self.SECONDS + self.MARGIN)))
                for tensor in tensors:
                    work = distributed.all_reduce(tensor, group=group, async_op=True)
                    self.pending.append(work)
        self.began = time.monotonic()

    def inside(self, number):
        if number <= self.CAPTURES:
            time.sleep(self.SECONDS)

    def after(self, number):
        if number > self.CAPTURES:
            return
        held = time.monotonic() - self.began
        open_still = sum(not work.is_completed() for work in self.pending)
        self.say(f"race: capture {number} held {held:.2f} s; work not done {open_still} "
            f"of {len(self.pending)}")  # fmt: skip
        self.pending = []
