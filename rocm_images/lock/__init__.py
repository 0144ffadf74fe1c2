"""matrix.lock: the digests and commits that the matrix resolved to."""
