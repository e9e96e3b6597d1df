"""The command line. Commands parse options and show results; the logic is elsewhere."""

from .app import app, main

__all__ = ["app", "main"]
