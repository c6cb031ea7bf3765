"""Hostile inputs, generated: ``python -m tools.hard`` tries them all, ``--fuzz SECONDS`` looks for more."""
