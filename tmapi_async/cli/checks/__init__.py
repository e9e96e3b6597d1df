"""Checks of `tmapi check`: the host, the account, and the places that are written to."""
