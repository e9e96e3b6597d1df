"""Listings counted by state, and the verdict over them."""
