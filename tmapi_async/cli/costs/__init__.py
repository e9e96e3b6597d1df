"""Costs that commands tell before they send anything."""
