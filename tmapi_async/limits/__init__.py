"""The gate that every attempt passes: slot, then pace, then budget."""
