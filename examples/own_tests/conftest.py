"""Fixtures of the suite: sandboxes, which end with each test."""

pytest_plugins = ["tmapi_async.sandbox.fixtures"]
