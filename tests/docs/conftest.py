"""Fixtures for the blocks of the documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

from tests.support.wheel_environment import WheelEnvironment, make_environment

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def wheel_environment(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> WheelEnvironment:
    """Return an environment of the wheel. All processes of the tests share one."""
    base: Path = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "wheel"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            folder.mkdir()
            return make_environment(folder)
    return WheelEnvironment(folder / "venv", folder / "packages", folder / "dist")
