"""A stand-in for flash-attention."""
