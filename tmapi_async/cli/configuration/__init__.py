"""Settings: their keys, the files that set them, and the order in which sources win."""
