"""What this machine can run: device, memory, cost, plans."""
