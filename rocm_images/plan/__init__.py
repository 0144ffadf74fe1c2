"""The matrix expanded into cells, with the advisories that apply to each."""
