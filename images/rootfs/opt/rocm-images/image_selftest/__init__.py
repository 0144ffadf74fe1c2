"""Runs everything that an image can show of itself on this machine, and writes it to one file.

Standard library only; reached as `docker run ... IMAGE selftest`. docs/selftest.md explains it.
"""
