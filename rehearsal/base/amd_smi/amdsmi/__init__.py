"""A stand-in for amdsmi: it finds no GPU."""
