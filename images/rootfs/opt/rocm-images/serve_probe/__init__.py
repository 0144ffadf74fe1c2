"""Shows that the server itself decodes with captured graphs in this image, on these GPUs.

Standard library only: the server, torch and Triton are the image's. Reached as `graph-probe serve`;
docs/serve.md explains what it starts, sends and compares.
"""
