"""Opening of the gate by the clock: of a new account, and after a pause."""
