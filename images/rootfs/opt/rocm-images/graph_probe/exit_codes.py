"""The probe's exit codes, the one sentence each stands for, and the error that carries one."""

from __future__ import annotations

import enum


class ExitCode(enum.IntEnum):
    """What the probe found, as its process's exit status."""

    PASS = 0
    BAD_ARGUMENTS = 2
    UNSAFE_NOT_MITIGATED = 10
    WRONG_TOKENS = 11
    CAPTURE_FAILED = 12
    ALL_REDUCE_TIMED_OUT = 13
    COMPILE_FAILED = 14
    UNSAFE = 15
    RUNTIME_CALL_FAILED = 16
    GUARD_FAILED = 17
    REPLAY_WRONG = 18
    REPLAY_CORRUPTED = 19
    NO_RUNTIME_OR_DEVICE = 20
    WRONG_GFX = 21
    TWO_RUNTIMES = 22
    HUNG_AND_KILLED = 30
    DIED_ON_SIGNAL = 31
    SERVER_CAPTURE_INVALIDATED = 40
    SERVER_OUT_OF_MEMORY = 41
    SERVER_ABORTED = 42
    SERVER_KILLED = 43
    SERVER_HUNG = 44
    SERVER_FAILED = 45
    SERVE_CHECK_FAILED = 46
    MISJUDGED = 47
    NO_SERVER = 48
    SERVER_CRASHED = 49
    SERVER_GPU_ERROR = 50
    PROBE_DEFECT = 70
    HANGUP = 129
    INTERRUPTED = 130
    TERMINATED = 143


MEANING: dict[ExitCode, str] = {
    ExitCode.PASS: "Everything that was asked for passed.",
    ExitCode.BAD_ARGUMENTS: "The arguments or the image description are not usable.",
    ExitCode.UNSAFE_NOT_MITIGATED: (
        "The runtime is unsafe for captures beside a watchdog and AITER all-reduce is on."
    ),
    ExitCode.WRONG_TOKENS: "The captured decode gave wrong tokens.",
    ExitCode.CAPTURE_FAILED: "A graph capture failed, and not through the watchdog.",
    ExitCode.ALL_REDUCE_TIMED_OUT: "A rank waited in vain for another rank's all-reduce.",
    ExitCode.COMPILE_FAILED: "The probe's kernels did not compile for this GPU.",
    ExitCode.UNSAFE: "A watchdog thread can kill a graph capture on this runtime.",
    ExitCode.RUNTIME_CALL_FAILED: "A call of the GPU runtime failed outside of any capture.",
    ExitCode.GUARD_FAILED: (
        "The capture guard is loaded, and a watchdog thread can kill a graph capture all the same."
    ),
    ExitCode.REPLAY_WRONG: "Replayed graphs gave other values than their kernels compute.",
    ExitCode.REPLAY_CORRUPTED: "Replayed graphs gave other tokens than eager in some processes.",
    ExitCode.NO_RUNTIME_OR_DEVICE: "There is no usable GPU runtime or no GPU.",
    ExitCode.WRONG_GFX: "The GPU is not of the architecture that the image was built for.",
    ExitCode.TWO_RUNTIMES: "Two different copies of the GPU runtime are loaded at once.",
    ExitCode.HUNG_AND_KILLED: "The probe did not end in time and was killed.",
    ExitCode.DIED_ON_SIGNAL: "A process of the probe died on a signal.",
    ExitCode.SERVER_CAPTURE_INVALIDATED: "A graph capture of the server was invalidated.",
    ExitCode.SERVER_OUT_OF_MEMORY: "The server ran out of the GPU's memory.",
    ExitCode.SERVER_ABORTED: "The server aborted, in a capture or while decoding.",
    ExitCode.SERVER_KILLED: "The server was killed from outside.",
    ExitCode.SERVER_HUNG: "The server did not go on in time.",
    ExitCode.SERVER_FAILED: (
        "Another failure of the server: an address, a disk, a model, a package, a kernel, its code."
    ),
    ExitCode.SERVE_CHECK_FAILED: "The server decoded, but not as it should have.",
    ExitCode.MISJUDGED: "A provoked failure of the server was not judged as what it is.",
    ExitCode.NO_SERVER: "There is no inference server that could be started.",
    ExitCode.SERVER_CRASHED: "A process of the server died of a fault of its own (SIGSEGV, say).",
    ExitCode.SERVER_GPU_ERROR: "A call of the GPU's runtime, or a kernel, failed in the server.",
    ExitCode.PROBE_DEFECT: "The probe itself has a defect.",
    ExitCode.HANGUP: "The probe was ended by SIGHUP.",
    ExitCode.INTERRUPTED: "The probe was ended by SIGINT.",
    ExitCode.TERMINATED: "The probe was ended by SIGTERM.",
}


class ProbeError(Exception):
    """Ends the probe with `code`; `sentence` says what is wrong, where, and what to do."""

    def __init__(self, code: ExitCode, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
