"""The rules of `scripts/check_style.py` find what they are for."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path

LONG = "def long():\n" + "    x = 1\n" * 61


@pytest.fixture
def check_style(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Load the script, in a folder with an empty package."""
    spec = importlib.util.spec_from_file_location("check_style", ROOT / "scripts/check_style.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "__init__.py", '"""Package."""\n')
    return module


def write(folder: Path, name: str, text: str) -> None:
    """Write a file of the package."""
    path = folder / "tmapi_async" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("files", "finding"),
    [
        ({"a.py": '"""What it is."""\n'}, "starts with 'What'"),
        ({"a.py": 'X = 1\n"""How many."""\n'}, "starts with 'How'"),
        ({"a.py": '"""Wait.\n\nArgs:\n    at: When to end.\n"""\n'}, "a.py:4: starts with 'When'"),
        ({"a.py": '"""Is.\n\nReturns:\n    Whether.\n"""\n'}, "a.py:4: starts with 'Whether'"),
        ({"a.py": "x = 1\n" * 401}, "a.py: 401 lines; at most 400"),
        ({"a.py": f"def short():\n    pass\n\n\n{LONG}"}, "a.py:5: long: 61 lines; at most 60"),
        ({f"b/m{n}.py": "" for n in range(17)}, "b: 17 modules; at most 16"),
        ({f"m{n}.py": "" for n in range(15)}, "15 entries at the top; at most 14"),
        ({"a/same.py": "", "b/same.py": ""}, "a/same.py: same.py is also in"),
        ({"a.py": "class A: ...\n", "b.py": "class A: ...\n"}, "a.py:1: A is also in"),
    ],
)
def test_each_rule_finds_what_breaks_it(
    check_style: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    files: dict[str, str],
    finding: str,
) -> None:
    """A file that breaks a rule is named, and the exit status is 1."""
    for name, text in files.items():
        write(tmp_path, name, text)
    assert check_style.main() == 1
    assert finding in capsys.readouterr().out


def test_allowed_files_pass(check_style: Any, tmp_path: Path) -> None:
    """Commands may have the names of other modules, and 14 entries at the top are allowed."""
    write(tmp_path, "cli/commands/export.py", '"""Export a journal."""\n')
    write(tmp_path, "export/export.py", "class Listing: ...\n\n\ndef short():\n    return 1\n")
    write(tmp_path, "sandbox/listing.py", '"""Listings."""\n\n\nclass Listing: ...\n')
    assert check_style.main() == 0
