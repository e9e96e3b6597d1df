"""The package and the command line import where Python has no modules of Unix."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

# Other packages need them on Unix, and not on Windows: these are imported before.
HIDE = """
import sys
import distributed, filelock
sys.modules.update(dict.fromkeys(("fcntl", "grp", "pwd", "resource", "termios")))
"""

IMPORT_ALL = f"""{HIDE}
import importlib, json, pkgutil
import tmapi_async
failures = {{}}
for module in pkgutil.walk_packages(tmapi_async.__path__, "tmapi_async."):
    if module.name.endswith("__main__"):
        continue
    try:
        importlib.import_module(module.name)
    except ImportError as error:
        failures[module.name] = str(error)
print(json.dumps(failures))
"""


@pytest.mark.slow
def test_every_module_imports_without_the_modules_of_unix() -> None:
    """Python on Windows has none of the hidden modules; every module imports all the same."""
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", IMPORT_ALL],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == {}


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["--help"], ["items", "1031910", "--sandbox", "-q"]])
def test_the_command_line_runs_without_the_modules_of_unix(arguments: list[str]) -> None:
    """The help is printed, and items come from a sandbox."""
    code = f"{HIDE}\nfrom tmapi_async.cli import main; main()"
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout
