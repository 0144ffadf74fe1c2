"""Pushing, pulling and publishing an image of 2 GB, on a real engine and a real registry."""
