"""Definitions of the journal's tables, and a comparison of a file with them."""
