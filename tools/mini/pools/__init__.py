"""Labelled pictures, sounds and shapes to learn from and to measure on."""
