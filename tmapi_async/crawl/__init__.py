"""Walks listings over many requests: which page is next, when a listing ends."""
