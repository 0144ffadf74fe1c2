"""Publishing: what may be published, pushing it, signing it, moving tags, and checking all that."""
