"""What makes and measures what ships: not part of the library, run from a checkout."""
