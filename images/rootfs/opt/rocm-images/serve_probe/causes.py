"""What errors mean: for the text of an exception or of a runtime, its cause and the next step.

The first entry that fits decides, so what is special stands before what is general. Texts of HIP:
ROCm/clr, hipamd/src/hip_error.cpp; CUDA's are the same words with another name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from image_servers import LogLines
from serve_probe.verdict import State


@dataclass(frozen=True)
class Cause:
    """One kind of failure. `said` begins a verdict's sentence, `advice` ends it.

    `advice` may name fields of image_servers.Advice in braces. `consequence`: another process's
    failure is the cause, wherever that is in the log.
    """

    name: str
    pattern: re.Pattern[str]
    state: State
    said: str
    advice: str
    advisories: tuple[str, ...] = ()
    consequence: bool = False


_GPU = r"(?:CUDA|Cuda|HIP|cuda|hip)"


def words(pattern: str) -> re.Pattern[str]:
    """In either case: the same words begin a sentence here and stand within one there, and libuv
    writes those of the C library in lower case."""
    return re.compile(pattern, re.IGNORECASE)


def _code(number: int) -> str:
    # As many characters as `hipModuleLaunchKernel failed with`; what hipcc ends in is its own.
    said = rf"\b{_GPU}(?!cc)[\w ]{{0,40}}error:? (?:code:? )?{number}\b"
    return rf"{said}|\]: {{1,8}}Code: {number}\b"


def _error(number: int, said: str, name: str, *, cuda: str = "") -> str:
    """An error of the runtime by each of its three faces: its name, its words and its number.

    `cuda` is its name in CUDA where that is another one.
    """
    names = rf"hipError{name}\b|cudaError{cuda}" if cuda else f"{_GPU}Error{name}"
    return rf"{names}\b|{said}|{_code(number)}"


_FORMS = {
    # Name of the runtime's error: its number, its words, what it means, what to do.
    "Unsupported": (
        900,
        "operation not permitted when stream is capturing",
        "a call that no capture allows was made on the stream, or beside it",
        "The first exception's stack names the caller, where it is the capturing thread.",
    ),
    "Merge": (
        902,
        "operation would result in a merge of separate capture sequences",
        "two captures would have become one: a stream of one waited for an event of the other",
        "Look for what shares an event or a stream between two captures.",
    ),
    "Unmatched": (
        903,
        "capture was not ended in the same stream as it began",
        "the capture was not ended on the stream that it began on",
        "Look for what changes the current stream in the captured code.",
    ),
    "Unjoined": (
        904,
        "capturing stream has unjoined work",
        "work on another stream joined the capture and was never joined back to it",
        "Look for a kernel library that works on a stream of its own; its end must record an "
        "event that the capturing stream waits for.",
    ),
    "Isolation": (
        905,
        "dependency created on uncaptured work in another stream",
        "the captured work would have waited for work that was not captured",
        "Look for an event that was recorded before the capture and is waited for in it.",
    ),
    "Implicit": (
        906,
        "operation would make the legacy stream depend on a capturing blocking stream",
        "something used the legacy default stream, which waits for every other one",
        "Look for a library that launches on stream 0 in the captured code.",
    ),
    "WrongThread": (
        908,
        "attempt to terminate a thread-local capture sequence from another thread",
        "another thread than that which began the capture ended it",
        "Look for what hands a captured graph from thread to thread.",
    ),
}


def _form(name: str) -> Cause:
    number, text, meaning, advice = _FORMS[name]
    said = f"A graph capture was invalidated, since {meaning} (error {number}, {name})"
    return Cause(
        f"capture-{re.sub(r'(?<!^)(?=[A-Z])', '-', name).lower()}",
        words(_error(number, text, f"StreamCapture{name}")),
        State.CAPTURE_INVALIDATED,
        said,
        advice,
    )


BROKEN_CAPTURE = Cause(
    "capture-invalidated",
    words(_error(901, "previous error during capture", "StreamCaptureInvalidated")),
    State.CAPTURE_INVALIDATED,
    "A graph capture was invalidated",
    "Something in the process made a call that a capture forbids, such as a watchdog's event query "
    "on a HIP runtime that the advisory hip-event-query is about. Run `graph-probe capture` in "
    "this container: if it says unsafe, use an image on a newer ROCm; if captures survive a "
    "watchdog, look for a library that synchronises the device, and tell it by "
    "{no_custom_all_reduce}.",
    ("hip-event-query", "vendored-hip"),
)
CAPTURED_EVENT = Cause(
    "captured-event",
    words(
        _error(
            907, "operation not permitted on an event last recorded in a captur", "CapturedEvent"
        )
    ),
    State.CAPTURE_INVALIDATED,
    "A graph capture was invalidated by a query of an event that it had recorded",
    BROKEN_CAPTURE.advice,
    ("hip-event-query", "vendored-hip"),
)
COLLECTIVE_TIMEOUT = Cause(
    "collective-timeout",
    words(
        r"collective operation timeout|Timed out waiting \d{1,12}ms for (?:recv|send)"
        r"|RPC call to \w{1,60} timed out|watchdog hang|watchdog got stuck"
    ),
    State.HUNG,
    "The server hung: a collective waited in vain for other ranks",
    "Look at each rank with `py-spy dump`: the one that is not in the same collective is the one "
    "to ask. Look in `dmesg` for its GPU.",
)
PEER_LOST = Cause(
    "peer-lost",
    words(
        r"Connection (?:closed by|reset by) (?:remote )?peer|ncclRemoteError|Broken pipe"
        r"|remote process exit|recvValue failed|other ranks that didn't finish loading"
        r"|Connection refused|failed to recv, got 0 bytes|^EOFError\b"
        r"|ECONNRESET|ECONNREFUSED|\bEPIPE\b"
    ),
    State.UNKNOWN,
    "A process lost another one",
    "Which died first, this log does not show: look at the logs of the other nodes, and at "
    "`dmesg`.",
    consequence=True,
)
OUT_OF_MEMORY = Cause(
    "out-of-memory",
    words(
        r"OutOfMemoryError|out of memory\. Tried"
        # The runtime's own words, where torch's allocator was not asked: making the context, say.
        rf"|{_GPU}Malloc\w{{0,60}} failed: out of mem|"
        + _error(
            2,
            rf"{_GPU}(?: driver)? error:? (?:\d{{1,4}}:? )?out of memory",
            "(?:MemoryAllocation|OutOfMemory)",
        )
        + r"|BLAS(?:LT)?_STATUS_ALLOC_FAILED"
    ),
    State.OUT_OF_MEMORY,
    "The GPU's memory ran out",
    "See first whether another process holds memory (rocm-smi --showmeminfo vram).",
)
CAUSES: tuple[Cause, ...] = (
    COLLECTIVE_TIMEOUT,
    PEER_LOST,
    Cause(
        "ranks-do-not-join",
        words(
            r"Timed out after \d{1,9} seconds waiting for clients|client socket has timed out"
            r"|wait timeout after \d{1,12} ?ms"
        ),
        State.HUNG,
        "The ranks did not find each other",
        "See whether every rank was started, and reaches the address of the first one; a rank that "
        "died before says so in its own log.",
    ),
    Cause(
        "ecc-error",
        words(
            r"[DS]RAM ECC failure|"
            + _error(214, "uncorrectable ECC", "ECCNotCorrectable", cuda="ECCUncorrectable")
        ),
        State.GPU_ERROR,
        "The GPU's own memory is faulty (ECC)",
        "Look at the counters (`amd-smi metric --ecc`) and in `dmesg`, and take that GPU out of "
        "service.",
    ),
    Cause(
        "cache-does-not-fit",
        words(
            r"Not enough memory\. Please try to increase|No available memory for the cache blocks"
            r"|larger than the available KV cache memory"
        ),
        State.OUT_OF_MEMORY,
        "The GPU's memory does not suffice for the cache beside the model",
        "Raise {memory} if other processes leave room for it, or serve on more GPUs, with a "
        "shorter context or smaller weights.",
    ),
    OUT_OF_MEMORY,
    CAPTURED_EVENT,
    *(_form(name) for name in _FORMS),
    BROKEN_CAPTURE,
    Cause(
        "shared-memory-of-a-kernel",
        words(r"out of resource: shared memory"),
        State.UNKNOWN,
        "A kernel asks for more of a compute unit's own memory (LDS) than this GPU has",
        "It is not the GPU's memory that ran out: the kernel's block sizes were tuned for another "
        "GPU. Choose another attention backend.",
    ),
    Cause(
        "jit-build-failed",
        words(r"failed jit build"),
        State.UNKNOWN,
        "AITER did not find a kernel built, and could not build it",
        "The compiler's first `error:` is in the log above it. Our images have AITER's kernels "
        "built in: `image-doctor` says which are missing.",
        ("empty-prebuild",),
    ),
    Cause(
        "compile-failed",
        words(
            r"Ninja build failed|ninja: (?:error|build stopped)|'ninja'"
            r"|(?:hip|nv)cc.{0,80}(?:failed|non-zero)|CompilationError|LLVM ERROR"
            r"|error compiling|error building extension|(?:HIP|NV)RTC_ERROR_COMPILATION"
        ),
        State.UNKNOWN,
        "A kernel did not compile",
        "The compiler's first `error:` is in the log near it. See whether what it includes and "
        "links is in the image, and whether its cache folder can be written.",
    ),
    Cause(
        "ipc-handle",
        words(rf"{_GPU}Ipc(?:Get|Open)MemHandle"),
        State.GPU_ERROR,
        "GPU memory could not be shared between processes",
        "Leave expandable_segments out of PYTORCH_HIP_ALLOC_CONF; on a kernel's own amdgpu set "
        "HSA_ENABLE_IPC_MODE_LEGACY=0.",
        ("expandable-segments", "ipc-leak"),
    ),
    Cause(
        "device-assertion",
        words(_error(710, "device-side assert", "Assert")),
        State.GPU_ERROR,
        "A kernel's own assertion failed",
        "The line with `Assertion` names the kernel and what it expected: mostly an index out of "
        "range, from a token or a page that does not exist.",
    ),
    Cause(
        "illegal-address",
        words(_error(700, "illegal memory access", "IllegalAddress")),
        State.GPU_ERROR,
        "A kernel touched memory that is not its own",
        "The call that is named may be a later one: run it again with AMD_SERIALIZE_KERNEL=3 and "
        "{eager} to learn which kernel it is.",
    ),
    Cause(
        "no-kernel-for-this-gpu",
        words(
            _error(98, "invalid device function", "InvalidDeviceFunction")
            + "|"
            + _error(
                209,
                "no kernel image is available",
                "NoBinaryForGpu",
                cuda="NoKernelImageForDevice",
            )
        ),
        State.GPU_ERROR,
        "There is no kernel for this GPU in the image",
        "Use the image of this GPU's arch; `image-doctor` lists what each library was built for.",
    ),
    Cause(
        "no-gpu",
        words(
            r"No (?:HIP|CUDA) GPUs|"
            + _error(100, "no (?:ROCm|CUDA)-capable device", "NoDevice")
            + "|"
            + _error(101, "invalid device ordinal", "InvalidDevice")
        ),
        State.GPU_ERROR,
        "A GPU that was asked for is not there",
        "Compare the tensor-parallel size with the GPUs that the container sees (`rocm-smi`), and "
        "see HIP_VISIBLE_DEVICES.",
    ),
    Cause(
        "gpu-error",
        words(
            rf"(?<!unhandled )\b{_GPU}(?: driver| runtime)? error\b|{_GPU}Error[A-Z]\w"
            rf"|{_GPU}\w{{0,60}} failed(?: with|:)"
            r"|failed with error code (?:invalid|unspecified|too many)"
            r"|kernel.{0,60} launch failed|Triton Error \[(?:HIP|CUDA)\]"
            r"|BLAS(?:LT)?_STATUS_(?!SUCCESS)\w"
        ),
        State.GPU_ERROR,
        "A call of the GPU's runtime failed",
        "The error is that of the kernel or the library that the log names there. Try again "
        "with {eager}; if it fails there too, with another attention backend.",
    ),
    Cause(
        "collective-failed",
        words(
            r"[NR]CCL error|DistBackendError|nccl(?:Internal|System|UnhandledCuda)Error"
            r"|ncclInvalid(?:Argument|Usage)"
        ),
        State.UNKNOWN,
        "A collective library failed",
        "Run it again with NCCL_DEBUG=WARN: the line with `NCCL WARN` says why. In a container, "
        "see /dev/shm (--shm-size, --ipc=host) first.",
    ),
    Cause(
        "rendezvous-address-in-use",
        words(r"server socket has failed to listen|ZMQError: Address already in use"),
        State.UNKNOWN,
        "An address that the server's own processes need among themselves is taken",
        "Another server on this host, or one that has not ended, holds it: end it, or give "
        "another one ({own_ports}).",
    ),
    Cause(
        "address-in-use",
        words(
            r"Address already in use|EADDRINUSE"
            r"|port \d{1,5} (?:is )?(?:already in use|in use|not available|unavailable)"
        ),
        State.UNKNOWN,
        "An address that the server needs is taken",
        "Another process listens there: end it, or give another one ({port}).",
    ),
    Cause(
        "import-failed",
        words(r"(?:ImportError|ModuleNotFoundError)\b"),
        State.UNKNOWN,
        "A Python package could not be imported",
        "`image-doctor` checks the packages of an image of ours; a mounted checkout or "
        "PYTHONPATH may hide one of them.",
    ),
    Cause(
        "model-not-found",
        words(
            r"LocalEntryNotFoundError|RepositoryNotFoundError|GatedRepoError|OfflineModeIsEnabled"
            r"|couldn't connect to 'https://huggingface|is not a local folder|HFValidationError"
        ),
        State.UNKNOWN,
        "The model could not be had",
        "It is no matter of the GPU: give its folder, or mount a cache that has it, and see "
        "HF_TOKEN and HF_HUB_OFFLINE.",
    ),
    Cause(
        "disk-full",
        words(r"No space left on device|ENOSPC"),
        State.UNKNOWN,
        "A disk or /dev/shm is full",
        "Look with `df`; a container's /dev/shm is 64 MB unless --shm-size or --ipc=host is given.",
    ),
    Cause(
        "http-server-does-not-start",
        words(
            r"^(?:ERROR: {1,8})?(?:\[Errno -?\d{1,3}\]|\[SSL\])"
            r"|^ERROR: {1,8}Application startup failed"
        ),
        State.UNKNOWN,
        "The HTTP server could not start",
        "The line says why: an address, a name or a certificate. It is no matter of the GPU.",
    ),
    Cause(
        "assertion",
        words(r"^(?:[\w.]{0,200}\.)?AssertionError\b"),
        State.UNKNOWN,
        "An assertion of the server's own failed",
        "Its stack in the log names what it expected: mostly a model, or a combination of options, "
        "that this release does not take.",
    ),
)


def causes_of(said: LogLines) -> tuple[Cause, ...]:
    """Those that a server can have: its own, then those of any server."""
    own = (
        Cause(
            one.name,
            words(one.pattern.pattern),
            State(one.state),
            one.said,
            one.advice,
            one.advisories,
            one.consequence,
        )
        for one in said.causes
    )
    return (*own, *CAUSES)


def cause_of(text: str, causes: tuple[Cause, ...]) -> Cause | None:
    """The first cause that a text fits."""
    return next((cause for cause in causes if cause.pattern.search(text)), None)


def named(name: str) -> Cause:
    """The cause of that name."""
    return next(cause for cause in CAUSES if cause.name == name)
