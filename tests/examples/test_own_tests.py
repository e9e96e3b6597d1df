"""The test suite of the examples, in pytest's default mode."""

from __future__ import annotations

import re
import sys

import pytest

from tests.support.paths import ROOT
from tests.support.recipes import copy_example, run_bare

if not (ROOT / "examples").is_dir():
    pytest.skip("the examples are not in this distribution", allow_module_level=True)


@pytest.mark.slow
def test_the_suite_passes_without_any_configuration(tmp_path):
    """A copy needs no setting of this project, such as the mode of pytest-asyncio."""
    folder = copy_example("own_tests", tmp_path)
    assert (folder / "pytest.ini").read_text("utf-8").splitlines()[-1] == "[pytest]"
    (folder / "pytest.ini").unlink()
    done = run_bare([sys.executable, "-m", "pytest", "-p", "no:cacheprovider"], folder)
    assert done.returncode == 0, done.stdout
    assert re.search(r"\b3 passed in", done.stdout)
    assert "warning" not in done.stdout.lower()
