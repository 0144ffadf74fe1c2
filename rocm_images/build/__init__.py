"""Building cells: what each is made from, and the run that builds and tests them."""
