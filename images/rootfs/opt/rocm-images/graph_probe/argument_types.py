"""Numbers as the command lines of the probes take them, for argparse."""

from __future__ import annotations

import argparse
from collections.abc import Callable


def seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds above 0")
    return value


def number(low: int, high: int) -> Callable[[str], int]:
    """A whole number, both ends included."""

    def parsed(text: str) -> int:
        if not text.isdecimal() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text} is not a number from {low} to {high}")
        return int(text)

    return parsed
