"""Arrow arrays of one column."""
