"""For those who deploy: which image to run, and how to run it."""
