"""Products, prices and categories of the sandbox, generated from a seed."""
