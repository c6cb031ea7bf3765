"""How sentences of other languages than English come into mini: see docs/mini.md."""
