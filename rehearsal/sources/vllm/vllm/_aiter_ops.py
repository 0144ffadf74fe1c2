"""Part of the stand-in for vLLM: the place where the real one decides what it takes of AITER."""

from __future__ import annotations

from vllm import envs


class rocm_aiter_ops:
    """Read once, when the module is imported."""

    _AITER_ENABLED = envs.VLLM_ROCM_USE_AITER

    @classmethod
    def is_enabled(cls) -> bool:
        """Whether anything of AITER is taken. This release's all-reduce is always its own."""
        return cls._AITER_ENABLED
