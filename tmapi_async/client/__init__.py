"""The client that applications use."""
