"""Reading of a journal by several processes."""
