"""Benchmarks: each figure beside its baselines, measured in the same run."""
