"""Serves the sandbox over HTTP, in this process, a thread or a process of its own."""
