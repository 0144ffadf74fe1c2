"""Testing an image from inside, and the evidence of it."""
