"""Figures over the listings of a journal: counts by state, the verdict, the cost of runs."""
