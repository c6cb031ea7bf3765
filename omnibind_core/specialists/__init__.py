"""Frozen pretrained towers: one module for each family."""
