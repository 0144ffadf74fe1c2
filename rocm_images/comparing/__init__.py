"""How one image differs from another, and release notes made of that."""
