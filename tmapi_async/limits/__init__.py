"""How fast requests may be sent: slots, rate, budget. Decisions take the clock as an argument."""
