"""Registries: where images are published to, and what they have."""
