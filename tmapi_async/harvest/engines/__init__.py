"""Engines in this process: one account, or several."""
