"""Limits on how fast requests are sent: slots, rate, budget.

Decisions take the clock time as an argument, so that tests and simulations need not wait.
"""
