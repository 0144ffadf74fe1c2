"""What continuous integration asks of the matrix: which cells need work, what became of them."""
