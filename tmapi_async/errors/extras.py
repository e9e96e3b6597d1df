"""Messages about packages of an extra that are not installed."""

from __future__ import annotations

import re
from functools import cache

_PACKAGE = "tmapi-async"
_EXTRA = re.compile(r"""\bextra\s*==\s*['"]([\w-]+)['"]""")


@cache
def install_command(extra: str) -> str:
    """Return the shell command that installs the packages of an extra.

    It names these packages, not this one: this one may come from a folder, a wheel or an index, and
    the command works with each of them.

    Args:
        extra: Name of an extra in the metadata of this package.
    """
    from importlib import metadata  # noqa: PLC0415 - takes 20 ms, and is seldom needed

    try:
        requirements = metadata.requires(_PACKAGE) or []
    except metadata.PackageNotFoundError:  # the package is used from a folder, not installed
        requirements = []
    packages = [
        requirement.partition(";")[0].strip()
        for requirement in requirements
        if extra in _EXTRA.findall(requirement)
    ]
    if not packages:
        return f'pip install ".[{extra}]" in the folder of {_PACKAGE}'
    return " ".join(["pip install", *(f'"{package}"' for package in packages)])
