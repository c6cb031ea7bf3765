"""How the gallery was collected: which files, from where, in whose words."""
