"""Other tools that can fetch such pages, each in its own environment with pinned versions."""
