"""The README's pictures, by one command."""
