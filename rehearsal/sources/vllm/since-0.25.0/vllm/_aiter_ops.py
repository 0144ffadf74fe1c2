"""Part of the stand-in for vLLM: the place where the real one decides what it takes of AITER."""

from __future__ import annotations

import functools
from collections.abc import Callable

from vllm import envs


def if_aiter_supported(function: Callable[..., bool]) -> Callable[..., bool | None]:
    """The real one answers None where there is no AITER, or no GPU that it is for."""

    @functools.wraps(function)
    def asked(*arguments: object) -> bool | None:
        return function(*arguments)

    return asked


class rocm_aiter_ops:
    """Read once, when the module is imported; again by `refresh_env_variables`."""

    _AITER_ENABLED = envs.VLLM_ROCM_USE_AITER
    _CUSTOM_ALL_REDUCE_ENABLED = envs.VLLM_ROCM_USE_AITER_CUSTOM_AR

    @classmethod
    def refresh_env_variables(cls) -> None:
        """Read the variables again."""
        cls._AITER_ENABLED = envs.VLLM_ROCM_USE_AITER
        cls._CUSTOM_ALL_REDUCE_ENABLED = envs.VLLM_ROCM_USE_AITER_CUSTOM_AR

    @classmethod
    @if_aiter_supported
    def is_enabled(cls) -> bool:
        """Whether anything of AITER is taken."""
        return cls._AITER_ENABLED

    @classmethod
    @if_aiter_supported
    def is_custom_all_reduce_enabled(cls) -> bool:
        """Whether AITER's all-reduce takes the place of vLLM's own."""
        return cls._AITER_ENABLED and cls._CUSTOM_ALL_REDUCE_ENABLED
