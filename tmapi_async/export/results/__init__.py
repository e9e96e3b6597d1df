"""Results of an export."""
