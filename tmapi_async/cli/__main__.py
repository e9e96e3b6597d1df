"""Runs `tmapi` as `python -m tmapi_async.cli`."""

from .app import main

if __name__ == "__main__":
    main()
