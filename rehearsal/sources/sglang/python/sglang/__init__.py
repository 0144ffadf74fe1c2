"""A stand-in for SGLang: it serves nothing."""
