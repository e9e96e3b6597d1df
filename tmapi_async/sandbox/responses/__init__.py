"""Replies of the sandbox: listings, pages, rows, faults and drift."""
