"""A rehearsal of the first real day: a stand-in Hub, stand-in checkpoints, and all that a user then runs."""
