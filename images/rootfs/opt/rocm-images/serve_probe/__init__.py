"""Shows that SGLang itself decodes with captured graphs in this image, on these GPUs.

Standard library only: SGLang, torch and Triton are the image's. Reached as `graph-probe serve`;
docs/serve.md explains what it starts, sends and compares.
"""
