"""Invents the products, prices and categories of the sandbox from a seed."""
