"""The public modules keep their promise: what the docs tell people to import is there."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import tmapi_async

ROOT = Path(__file__).parent.parent
PUBLIC_MODULES = (
    "tmapi_async",
    "tmapi_async.harvest",
    "tmapi_async.export",
    "tmapi_async.sandbox",
    "tmapi_async.otel",
    "tmapi_async.dlt",
)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FROM_IMPORT = re.compile(r"^\s*from (tmapi_async[\w.]*) import (\([^)]*\)|[^\n#]*)", re.MULTILINE)
REFERENCE = re.compile(r"^::: (tmapi_async[\w.]*)\.(\w+)$", re.MULTILINE)


def imports_of(page: Path) -> set[tuple[str, str]]:
    """Find the (module, name) pairs that a page imports or documents."""
    text = page.read_text(encoding="utf-8")
    pairs = {
        (module, name.split(" as ")[0].strip())
        for module, names in FROM_IMPORT.findall(text)
        for name in names.strip("()").split(",")
        if name.strip()
    }
    return pairs | set(REFERENCE.findall(text))


def promised(module: str) -> set[str]:
    """Return `__all__` of a module; dlt's is not imported for it, since that starts a process."""
    if module != "tmapi_async.dlt":
        return set(import_module(module).__all__)
    path = ROOT / module.replace(".", "/")
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    raise AssertionError(f"{module} has no __all__")


@pytest.mark.parametrize(
    "module", [*PUBLIC_MODULES[:-1], pytest.param(PUBLIC_MODULES[-1], marks=pytest.mark.slow)]
)
def test_every_name_in_all_can_be_imported(module):
    """`__all__` lists each name once, and each exists."""
    public = import_module(module)
    assert len(set(public.__all__)) == len(public.__all__)
    missing = [name for name in public.__all__ if not hasattr(public, name)]
    assert missing == []


def test_the_lazy_names_are_those_that_are_promised_and_typed():
    """`__all__`, the names imported on first use and the names that type checkers see are one."""
    tree = ast.parse(Path(tmapi_async.__file__).read_text(encoding="utf-8"))
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {
        (node.module, alias.name)
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    table = next(
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_MODULES"
    )
    lazy = {(module, name) for module, names in ast.literal_eval(table).items() for name in names}
    assert lazy == typed
    assert {name for _, name in lazy} == set(tmapi_async.__all__)
    assert len(lazy) == len(tmapi_async.__all__)


def test_an_unknown_name_of_the_package_raises_attribute_error():
    """`import` and `hasattr` rely on `AttributeError` where a name does not exist."""
    assert not hasattr(tmapi_async, "no_such_name")
    assert set(tmapi_async.__all__) <= set(dir(tmapi_async))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_docs_import_from_public_modules_alone(page):
    """Each name that a page imports or documents is in `__all__` of one of the six modules."""
    private = [
        f"{module}.{name}"
        for module, name in sorted(imports_of(page))
        if module not in PUBLIC_MODULES or name not in promised(module)
    ]
    assert private == []


@pytest.mark.slow
@pytest.mark.parametrize("module", ["tmapi_async", "tmapi_async.export", "tmapi_async.errors"])
def test_reading_a_journal_loads_no_http_client(module):
    """An export starts fast, and works where aiohttp cannot be imported."""
    code = f"import sys, {module}; print('aiohttp' in sys.modules)"
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "False"
