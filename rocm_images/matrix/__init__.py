"""matrix.yaml: its schema, and reading it with the place of every problem."""
