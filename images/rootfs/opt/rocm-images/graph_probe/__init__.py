"""Finds out whether the GPU runtime really loaded survives a graph capture beside a watchdog.

Standard library only, so that it runs in any image. `python -m graph_probe --help` shows the
commands; docs/probe.md explains what they prove.
"""
