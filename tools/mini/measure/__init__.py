"""What mini reaches on frozen tasks: the results page."""
