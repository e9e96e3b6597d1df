"""Sends one request until it is answered or given up; the only place for aiohttp."""
