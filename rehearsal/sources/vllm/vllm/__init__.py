"""A stand-in for vLLM: it serves nothing."""
