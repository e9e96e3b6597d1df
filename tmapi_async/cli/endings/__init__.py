"""The end of a command: its last lines, and the command that it runs then."""
