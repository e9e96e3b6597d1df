"""Hiding of modules that a library would load although nobody needs them."""

from __future__ import annotations

import sys


class _HiddenModules:
    """Finder that says of some modules that they are not installed."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:  # noqa: ARG002 - the interface of a finder
        if name in self.names:
            raise ModuleNotFoundError(f"{name} is hidden from this process", name=name)


_HIDDEN = _HiddenModules()


def hide_module(name: str) -> None:
    """Let imports of a module fail in this process, as if it were not installed.

    Only for a process of this program's own: in that of a caller, other code may need the module.

    Args:
        name: Name of the module, which is not loaded yet.
    """
    _HIDDEN.names.add(name)
    if _HIDDEN not in sys.meta_path:
        sys.meta_path.insert(0, _HIDDEN)
