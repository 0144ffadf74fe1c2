"""What is measured, and against what: `make bench`. See benchmarks/README.md."""
