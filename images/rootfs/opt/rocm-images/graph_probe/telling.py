"""Says a text at once, to a reader who may have gone."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from image_facts.foreign import shown


def say(text: str, output: TextIO | None = None) -> None:
    """Prints at once. A reader that has gone does not change what is found or returned."""
    try:
        print(shown(text), file=output, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
