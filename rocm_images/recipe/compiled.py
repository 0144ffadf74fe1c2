"""Keeps templates compiled, as Python keeps modules: compiling takes longer than rendering.

What is kept is code, and lies in a checkout's .cache, beside the program's own. What cannot be read
there, is damaged, or was compiled from another text or by another Jinja or Python, is compiled
anew; what cannot be written is not kept. It is for templates without filters of the program, whose
results Jinja may compile in.
"""

from __future__ import annotations

import hashlib
import marshal
import sys
from contextlib import suppress
from pathlib import Path

import jinja2
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket

from rocm_images.errors import RocmImagesError
from rocm_images.files import write_whole
from rocm_images.foreign import content_of

_MAX_BYTES = 4 * 1024 * 1024
_DIGEST_BYTES = hashlib.sha256().digest_size
_COMPILER = f"Jinja {jinja2.__version__}, Python {sys.version}"


class Compiled(BytecodeCache):
    """The compiled templates in one folder.

    Args:
        folder: where they lie.
        settings: what decides, beside its text, what a template is compiled to.
    """

    def __init__(self, folder: Path, settings: str) -> None:
        self._folder = folder
        self._settings = settings

    def get_source_checksum(self, source: str) -> str:
        """Of everything that the code follows from."""
        whole = "\0".join((_COMPILER, self._settings, source))
        return hashlib.sha256(whole.encode()).hexdigest()

    def load_bytecode(self, bucket: Bucket) -> None:
        """Give a template its code, where that is kept."""
        with suppress(OSError, ValueError, EOFError, TypeError):
            kept = content_of(self._path(bucket), _MAX_BYTES)
            digest, code = kept[:_DIGEST_BYTES], kept[_DIGEST_BYTES:]
            # Python can crash on code that was cut off or altered.
            if digest == _digest(bucket, code):
                bucket.code = marshal.loads(code)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep a template's code, unless Python was told to keep none of modules either."""
        if sys.dont_write_bytecode:
            return
        code = marshal.dumps(bucket.code)
        with suppress(RocmImagesError):
            write_whole(self._path(bucket), _digest(bucket, code) + code, lasting=False)

    def _path(self, bucket: Bucket) -> Path:
        return self._folder / f"{bucket.key}.{sys.implementation.cache_tag}"


def _digest(bucket: Bucket, code: bytes) -> bytes:
    return hashlib.sha256(bucket.checksum.encode() + code).digest()
