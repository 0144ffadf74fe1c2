"""Part of the stand-in for SGLang: the place where the real one reads SGLANG_USE_AITER_AR."""

from __future__ import annotations

import os


def get_bool_env_var(name: str, default: str = "false") -> bool:
    """As in SGLang: only "true" and "1", in any case, are true."""
    return os.environ.get(name, default).lower() in ("true", "1")


def dispatch_custom_allreduce() -> str:
    """The name of the all-reduce that would be used."""
    if get_bool_env_var("SGLANG_USE_AITER_AR", default="true"):
        return "AiterCustomAllreduce"
    return "CustomAllreduce"
