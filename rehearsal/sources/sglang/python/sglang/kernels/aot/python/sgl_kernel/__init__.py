"""A stand-in for sgl-kernel."""
