"""Refusals: their cost, the quiet time without them, and those that are noise."""
