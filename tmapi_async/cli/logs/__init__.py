"""Log records of a command: as text or as JSON, to standard error or to a file."""
