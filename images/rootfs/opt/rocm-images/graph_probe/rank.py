"""One rank of the tensor-parallel decode: its device's memory, launches and tokens."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import c_int

from graph_probe import allreduce, model, state
from graph_probe.exit_codes import ExitCode, ProbeError
from graph_probe.runtime import (
    DEVICE_TO_HOST,
    HOST_TO_DEVICE,
    STREAM_NON_BLOCKING,
    SUCCESS,
    Launch,
    Runtime,
    error_name,
)

_POISON = 0xFF  # as a float NaN, as a token -1: what a step forgets to write shows


class Rank:
    """Rank `rank` of `ranks` on `device`. Every method makes that device current."""

    def __init__(
        self,
        runtime: Runtime,
        code: ctypes.Array[ctypes.c_char],
        device: int,
        rank: int,
        ranks: int,
        shape: model.Shape,
    ) -> None:
        self.runtime, self.device, self.rank = runtime, device, rank
        self._ranks, self._shape = ranks, shape
        self._share = model.share_of(rank, ranks)
        self.use()
        self.stream = runtime.create("StreamCreateWithFlags", STREAM_NON_BLOCKING)
        self._kernels = runtime.load_kernels(code, state.kernel_names())
        self._bytes = _buffer_bytes(shape)
        self._buffers = {name: runtime.create("Malloc", n) for name, n in self._bytes.items()}
        self._block_bytes = allreduce.block_bytes(ranks, shape.batch_capacity)
        self.block = allreduce.allocate_block(runtime, self._block_bytes)
        self._programs: dict[int, list[Launch]] = {}
        self._clear_all_reduce()

    def use(self) -> None:
        self.runtime.check("SetDevice", self.device)

    def synchronize(self) -> None:
        self.use()
        self.runtime.check("StreamSynchronize", self.stream)

    def make_weights(self) -> None:
        """Fills the weights on the device; every rank makes the same ones."""
        self.use()
        table = self._upload_state(1, 0, 0)
        for place, name in enumerate(model.WEIGHTS):
            count = self._bytes[name] // 4
            kernel = self._kernels["k_weights"]
            _launched(Launch(self.runtime, kernel, count, table, place, count).on(self.stream))
        self.synchronize()

    def warm(self) -> None:
        """Runs every kernel once with no peers, so that none is loaded while a peer waits."""
        self.use()
        self.start(model.prompt(1))
        for launch in self._launches(1, self._upload_state(1, 0, 0)):
            _launched(launch.on(self.stream))
        # The pass above counted as all-reduces; the peers know nothing of them.
        self._clear_all_reduce()

    def prepare(self, batches: Sequence[int], blocks: Sequence[int]) -> None:
        """Makes the launches of each batch size, once every rank's block is known."""
        self.use()
        addresses = self._upload((ctypes.c_ulonglong * len(blocks))(*blocks))
        for batch in batches:
            table = self._upload_state(batch, len(blocks), addresses)
            self._programs[batch] = self._launches(batch, table)

    def program(self, batch: int) -> list[Launch]:
        return self._programs[batch]

    def start(self, tokens: Sequence[int]) -> None:
        """Puts the rank before its first step, one start token a row, all else poisoned."""
        self.use()
        for name, size in self._bytes.items():
            if name not in model.WEIGHTS and name not in ("position", "timeout"):
                self.runtime.check("MemsetAsync", self._buffers[name], _POISON, size, self.stream)
        self.runtime.check("MemsetAsync", self._buffers["position"], 0, 4, self.stream)
        self._copy_in(self._buffers["token"], (c_int * len(tokens))(*tokens))

    def tokens(self, batch: int, steps: int) -> list[list[int]]:
        """The tokens of each row, step by step."""
        words = self._copy_out("output", (c_int * (self._bytes["output"] // 4))())
        width = self._shape.positions
        return [list(words[row * width : row * width + steps]) for row in range(batch)]

    def wait_in_vain(self) -> allreduce.Wait | None:
        return allreduce.wait_of(self.rank, self._copy_out("timeout", (c_int * 2)()))

    def _launches(self, batch: int, table: int) -> list[Launch]:
        return [
            Launch(self.runtime, self._kernels[step.kernel], step.threads, table, step.layer)
            for step in model.decode_step(batch, self._share)
        ]

    def _clear_all_reduce(self) -> None:
        self.runtime.check("MemsetAsync", self.block, 0, self._block_bytes, self.stream)
        self.runtime.check("MemsetAsync", self._buffers["timeout"], 0, 8, self.stream)
        self.synchronize()

    def _upload_state(self, batch: int, ranks: int, blocks: int) -> int:
        return self._upload(
            state.pack(
                {
                    **self._buffers,
                    **self._share._asdict(),
                    "block": self.block,
                    "blocks": blocks,
                    "data_offset": allreduce.data_offset(self._ranks),
                    "max_polls": allreduce.MAXIMUM_POLLS,
                    "rank": self.rank,
                    "ranks": ranks,
                    "batch": batch,
                    "batch_capacity": self._shape.batch_capacity,
                    "positions": self._shape.positions,
                    "hidden": model.HIDDEN,
                    "head_size": model.HEAD_SIZE,
                    "ffn": model.FFN,
                    "vocabulary": model.VOCABULARY,
                }
            )
        )

    def _upload(self, data: ctypes.Array[ctypes.c_ulonglong]) -> int:
        address = self.runtime.create("Malloc", ctypes.sizeof(data))
        self._copy_in(address, data)
        return address

    def _copy_in(
        self, address: int, data: ctypes.Array[ctypes.c_ulonglong] | ctypes.Array[c_int]
    ) -> None:
        size = ctypes.sizeof(data)
        self.runtime.check("MemcpyAsync", address, data, size, HOST_TO_DEVICE, self.stream)
        self.synchronize()

    def _copy_out(self, name: str, words: ctypes.Array[c_int]) -> ctypes.Array[c_int]:
        self.use()
        size = ctypes.sizeof(words)
        source = self._buffers[name]
        self.runtime.check("MemcpyAsync", words, source, size, DEVICE_TO_HOST, self.stream)
        self.synchronize()
        return words


def _launched(status: int) -> None:
    if status != SUCCESS:
        raise ProbeError(
            ExitCode.RUNTIME_CALL_FAILED,
            f"A kernel launch returned {error_name(status)} outside of any capture.",
        )


def _buffer_bytes(shape: model.Shape) -> dict[str, int]:
    """Bytes of every buffer, by its member of State; all elements take four bytes."""
    batch, positions = shape
    cache = model.LAYERS * batch * positions * model.HIDDEN
    elements = {
        **model.WEIGHTS,
        "positional": positions * model.HIDDEN,
        "x": batch * model.HIDDEN,
        "query": batch * model.HIDDEN,
        "attended": batch * model.HIDDEN,
        "inner": batch * model.FFN,
        "logits": batch * model.VOCABULARY,
        "keys": cache,
        "values": cache,
        "token": batch,
        "position": 1,
        "output": batch * positions,
        "timeout": 2,
    }
    return {name: count * 4 for name, count in elements.items()}
