"""A stand-in for AITER."""
