"""Part of the stand-in for vLLM: how the real one reads its variables, when they are asked for."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

environment_variables: dict[str, Callable[[], Any]] = {
    "VLLM_ROCM_USE_AITER": lambda: (
        os.getenv("VLLM_ROCM_USE_AITER", "False").lower() in ("true", "1")
    ),
}


def __getattr__(name: str) -> Any:
    """The value of a variable, as `envs.NAME`."""
    if name in environment_variables:
        return environment_variables[name]()
    raise AttributeError(name)
