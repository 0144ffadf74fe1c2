"""Files of evidence from machines that are not ours: their schema, and what verifies them."""
