"""Run a notebook without Jupyter and compare its outputs with those that it holds.

    python scripts/run_notebook.py docs/notebooks/items-to-tables.ipynb [--write]

Cells run one after the other in one event loop, with `await` at their top level, as in Jupyter. The
text that a cell prints and the value of its last line are its outputs. `--write` stores them in the
file. Needs nothing but Python: Jupyter brings some 90 packages and a process for each kernel.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import inspect
import json
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any


async def outputs_of(source: str, name: str, namespace: dict[str, Any]) -> list[dict[str, Any]]:
    """Run a cell and return its outputs, in the format of notebooks.

    Args:
        source: Code of the cell.
        name: Name of the cell, for tracebacks.
        namespace: Variables of all cells.
    """
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    value = None
    with redirect_stdout(StringIO()) as printed:
        await evaluate(tree, name, "exec", namespace)
        if isinstance(last, ast.Expr):
            value = await evaluate(ast.Expression(last.value), name, "eval", namespace)
    outputs: list[dict[str, Any]] = []
    if printed.getvalue():
        text = printed.getvalue().splitlines(keepends=True)
        outputs.append({"name": "stdout", "output_type": "stream", "text": text})
    if value is not None:
        outputs.append(
            {
                "data": shown(value),
                "execution_count": None,
                "metadata": {},
                "output_type": "execute_result",
            }
        )
    return outputs


async def evaluate(tree: ast.AST, name: str, mode: str, namespace: dict[str, Any]) -> Any:
    """Evaluate code that may have `await` at its top level."""
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    result = eval(compile(tree, name, mode, flags), namespace)  # type: ignore[call-overload]  # noqa: S307 - our own notebooks
    return await result if inspect.isawaitable(result) else result


def shown(value: object) -> dict[str, list[str]]:
    """Return the forms of a value that a notebook shows."""
    data = {"text/plain": repr(value)}
    for kind, method in (("text/html", "_repr_html_"), ("image/svg+xml", "_repr_svg_")):
        show = getattr(value, method, None)
        if show is not None:
            data[kind] = show()
    return {kind: text.splitlines(keepends=True) for kind, text in sorted(data.items())}


async def run(notebook: dict[str, Any]) -> None:
    """Run all cells of a notebook, and put their outputs in place of those that it holds."""
    namespace: dict[str, Any] = {"__name__": "notebook"}
    for number, cell in enumerate(notebook["cells"], 1):
        if cell["cell_type"] == "code":
            source = "".join(cell["source"])
            cell["outputs"] = await outputs_of(source, f"cell {number}", namespace)


def dumped(notebook: dict[str, Any]) -> str:
    """Return the text of a notebook as Jupyter writes it."""
    return json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def main(arguments: list[str]) -> int:
    """Run the notebook. Returns 1 if its outputs are not those that it holds."""
    parser = argparse.ArgumentParser(description="Run a notebook without Jupyter.")
    parser.add_argument("path", type=Path)
    parser.add_argument("--write", action="store_true", help="store the outputs in the file")
    options = parser.parse_args(arguments)
    text = options.path.read_text(encoding="utf-8")
    notebook = json.loads(text)
    asyncio.run(run(notebook))
    if options.write:
        options.path.write_text(dumped(notebook), encoding="utf-8")
    elif text != dumped(notebook):
        print(f"{options.path}: the outputs differ; look at them, then run this with --write")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
