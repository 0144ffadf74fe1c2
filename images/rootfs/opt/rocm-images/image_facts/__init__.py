"""What an image is, as its build wrote it down in image.json: for every program in it."""
