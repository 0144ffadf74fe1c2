"""Takes published images elsewhere: to an engine, to another registry, into a file."""
