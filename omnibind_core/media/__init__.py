"""Path or bytes -> decoded media, with every limit in one place."""
