"""Times and costs, side by side with what they are compared to."""
