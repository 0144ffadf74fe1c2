"""Dockerfiles, labels and build ids of cells."""
