"""TMAPI's own data: endpoints, listings, replies, items. Pure functions and structs; no I/O."""
