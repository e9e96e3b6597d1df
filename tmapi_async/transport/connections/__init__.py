"""Connections of the fast HTTP transport: each carries one exchange after another."""
