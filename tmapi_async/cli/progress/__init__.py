"""Progress of a command on standard error: redrawn on a terminal, a line per interval elsewhere."""
