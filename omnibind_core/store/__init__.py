"""What lies on disk: paths, weights, shards of rows, the catalogue."""
