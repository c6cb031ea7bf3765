"""What strangers may not do: make the server fetch addresses, read what is not theirs, fill it, or speak for it."""
