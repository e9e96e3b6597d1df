"""Differences between two runs of a journal."""
