from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys
from tmapi_async.errors.hidden_modules import hide_module

hide_module("pandas")
import pyarrow

assert pyarrow.array([1, None]).null_count == 1
assert "pandas" not in sys.modules
try:
    import pandas
except ModuleNotFoundError as error:
    print(error)
"""


@pytest.mark.slow
def test_arrow_does_without_a_hidden_module():
    """Arrow takes a hidden pandas for one that is not installed, and works."""
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - our own
    assert done.stdout == "pandas is hidden from this process\n"
