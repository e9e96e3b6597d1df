"""An environment of the wheel alone, as somebody has it who installed this project.

The packages that the project needs are those of the environment of the tests, by links: to install
them again would take half a minute. The project itself comes from the wheel: neither the checkout
nor the editable installation can be imported.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
from importlib.metadata import distributions
from pathlib import Path
from typing import NamedTuple

from tests.support.commands import environment
from tests.support.paths import ROOT

_PROJECT = "tmapi_async"
_SCRIPT = """#!{python}
import sys
from {module} import {first}
sys.exit({function}())
"""


class WheelEnvironment(NamedTuple):
    """An environment into which the wheel is installed.

    Attributes:
        folder: Virtual environment.
        packages: Folder of links to the packages of others.
        dist: Folder of the wheel and the sdist.
    """

    folder: Path
    packages: Path
    dist: Path

    @property
    def python(self) -> Path:
        """Interpreter of the environment."""
        return self.folder / "bin" / "python"

    def variables(self, home: Path) -> dict[str, str]:
        """Return the environment variables of a shell in which the environment is active.

        pip installs from this machine alone. A server of the tests stands for each service.

        Args:
            home: Home folder of the shell.
        """
        paths = os.environ["PATH"].split(os.pathsep)
        own = Path(sys.prefix) / "bin"
        others = [path for path in paths if Path(path) != own and "/.venv" not in path]
        kept = {
            name: value
            for name, value in environment(token="").items()
            if not name.startswith(("PYTEST", "PYTHON", "COV_", "COVERAGE", "PIP_", "VIRTUAL_ENV"))
        }
        return kept | {
            "HOME": str(home),
            "PATH": os.pathsep.join([str(self.folder / "bin"), *others]),
            "PYTHONPATH": str(self.packages),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUTF8": "1",
            "COLUMNS": "100",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_FIND_LINKS": str(self.dist),
            "PIP_NO_BUILD_ISOLATION": "0",  # the variable has the sense of the option turned round
            "PIP_NO_INDEX": "1",
            "PIP_QUIET": "1",
            "DLT_DATA_DIR": str(home / "dlt"),
            "RUNTIME__DLTHUB_TELEMETRY": "false",
        }

    def unpack(self, folder: Path) -> Path:
        """Unpack the sdist: a fresh copy of the project. Returns its folder."""
        (sdist,) = self.dist.glob("*.tar.gz")
        with tarfile.open(sdist) as archive:
            archive.extractall(folder, filter="data")
        (project,) = folder.iterdir()
        return project


def make_environment(folder: Path) -> WheelEnvironment:
    """Build the wheel and install it into a new environment below a folder."""
    made = WheelEnvironment(folder / "venv", folder / "packages", folder / "dist")
    _run(sys.executable, "-m", "hatchling", "build", "--directory", str(made.dist))
    _run(sys.executable, "-m", "venv", "--without-pip", str(made.folder))
    (wheel,) = made.dist.glob("*.whl")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
    _run(*pip, "--python", str(made.python), "install", "--no-deps", "--no-index", str(wheel))
    _link_packages(made.packages)
    _write_scripts(made)
    return made


def _run(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - our own commands
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


def _link_packages(packages: Path) -> None:
    packages.mkdir()
    for folder in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for entry in Path(folder).iterdir():
            # Files of this ending put the checkout on the path, and count lines.
            if _PROJECT not in entry.name and entry.suffix != ".pth":
                (packages / entry.name).symlink_to(entry)


def _write_scripts(made: WheelEnvironment) -> None:
    """Write the programs of the linked packages: `pytest`, `uvicorn` and so on.

    There is no `pip`: all pages share the environment, and a page that installs makes its own.
    """
    for distribution in distributions(path=[str(made.packages)]):
        for entry in distribution.entry_points.select(group="console_scripts"):
            path = made.folder / "bin" / entry.name
            if not path.exists() and distribution.name != "pip":
                first = entry.attr.partition(".")[0]
                fields = {"module": entry.module, "first": first, "function": entry.attr}
                path.write_text(_SCRIPT.format(python=made.python, **fields), encoding="utf-8")
                path.chmod(0o755)
