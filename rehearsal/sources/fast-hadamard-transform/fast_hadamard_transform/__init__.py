"""A stand-in for fast-hadamard-transform: it transforms nothing."""
