"""The Docker Engine and buildx: connecting, images, layers, builds, and child processes."""
