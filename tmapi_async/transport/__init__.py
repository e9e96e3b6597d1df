"""Sends page requests and tries again until they are answered; the only package with aiohttp."""
