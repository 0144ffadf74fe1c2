"""Has the kernel refuse a program what opens a device: a filter of seccomp, with any errno.

A device cgroup, a driver that is gone or a GPU that is taken needs a machine that has them; what a
program is told then is one errno, and that is the same.
"""

from __future__ import annotations

import ctypes
import platform
import struct
from collections.abc import Callable

OPENAT = {"x86_64": 257, "aarch64": 56}[platform.machine()]
FLAGS = 0o102
"""O_RDWR and O_CREAT: how a shell opens for `<>`, and nothing else that it opens."""
_NO_NEW_PRIVILEGES, _SECCOMP, _FILTER = 38, 22, 2
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER, _THIRD_ARGUMENT = 0, 32
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000


def refusing(errno: int) -> Callable[[], None]:
    """What a child process calls before it becomes the program."""
    steps = [
        (_LOAD, 0, 0, _NUMBER),
        (_JUMP_IF_EQUAL, 0, 3, OPENAT),
        (_LOAD, 0, 0, _THIRD_ARGUMENT),
        (_JUMP_IF_EQUAL, 0, 1, FLAGS),
        (_RETURN, 0, 0, _ERRNO | errno),
        (_RETURN, 0, 0, _ALLOW),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(struct.pack("@HP", len(steps), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)

    def install() -> None:
        assert code  # it has to live as long as its address is in use
        if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) or libc.prctl(
            _SECCOMP, _FILTER, ctypes.byref(program), 0, 0
        ):
            raise OSError(ctypes.get_errno(), "the kernel takes no filter of system calls")

    return install
