"""Training and evaluation: pools of unpaired items, heads, and the figures they reach."""
