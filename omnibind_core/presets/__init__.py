"""Everything a preset is, by name: one JSON each."""
