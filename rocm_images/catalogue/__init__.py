"""The catalogue: what was published, in catalogue.json for machines and a page for people."""
