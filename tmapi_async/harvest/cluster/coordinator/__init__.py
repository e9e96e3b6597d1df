"""Coordinator side: sends listings to worker sessions and divides slots, rate and budget."""
