"""Attempts of page requests: the meaning of their replies, and those that need no task."""
