"""image-doctor: says whether an image fits together, and what to do where it does not."""
