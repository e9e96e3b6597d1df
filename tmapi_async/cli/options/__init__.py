"""Groups of command-line options, each a struct."""
