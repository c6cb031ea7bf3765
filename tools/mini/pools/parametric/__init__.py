"""Shapes that are built from parameters, by kind."""
