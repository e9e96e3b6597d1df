"""Checks of the paths and texts of a command, before anything is opened."""

from __future__ import annotations

import errno
import sys
import typing
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from tmapi_async.errors import InvalidRequestError

_UNUSABLE = {
    errno.ELOOP: "a symbolic link on this path leads back to itself",
    errno.ENAMETOOLONG: "the name is too long for this file system",
    errno.ENOTDIR: "a part of this path is a file and not a folder",
}
_DESTINATIONS = ("to", "more")


def check_values(options: msgspec.Struct) -> None:
    """Check every path and text of a command's options, those of its groups included.

    Raises:
        InvalidRequestError: A path can name no file, or a text is not Unicode.
    """
    for name in options.__struct_fields__:
        value = getattr(options, name)
        if isinstance(value, msgspec.Struct):
            check_values(value)
        else:
            check_value(name, value, partial(_typed_name, type(options), name))


def _typed_name(kind: type[msgspec.Struct], field: str) -> str:
    """Return an option as it is typed (`--to`), or the name of an argument in the help (`CAT`)."""
    hint = typing.get_type_hints(kind, include_extras=True)[field]
    for detail in getattr(hint, "__metadata__", ()):
        # The first name of an option is its "default" until Typer has read the annotation.
        for name in (detail.default, *(detail.param_decls or ())):
            if str(name).startswith("--"):
                return str(name).partition("/")[0]
        if detail.metavar:
            return str(detail.metavar).strip("[].")
    return f"--{field.replace('_', '-')}"


def check_value(name: str, value: Any, typed_name: Callable[[], str] | None = None) -> None:
    """Check the value of one option.

    Args:
        name: Name of the option, as a field.
        value: Its value.
        typed_name: Returns its name as a user types it; None for the usual spelling of `name`.

    Raises:
        InvalidRequestError: The value is a path that can name no file, or a text that is not
            Unicode.
    """
    values = value if isinstance(value, list) else [value]
    for entry in values:
        if isinstance(entry, Path):
            check_path(entry)
            if name == "journal" and (not entry.name or entry.expanduser().is_dir()):
                raise InvalidRequestError(f"{entry} is a folder: name the journal file in it")
        elif isinstance(entry, str):
            if not _is_unicode(entry):
                # Surrogates stand for bytes of the command line that are not text.
                label = typed_name() if typed_name else f"--{name.replace('_', '-')}"
                raise InvalidRequestError(
                    f"the value of {label} is not text in UTF-8: set LC_ALL to the locale of your "
                    "terminal, such as zh_CN.GBK, or convert the text with iconv"
                )
            if name in _DESTINATIONS and entry != "-" and "://" not in entry:
                check_path(Path(entry))


def check_path(path: Path) -> None:
    """Refuse a path that can name no file, whether a file is there or not.

    Raises:
        InvalidRequestError: The path has a NUL character, a name that is too long, a link to
            itself, a file in place of a folder, or no folder that it counts from.
    """
    if "\x00" in str(path):
        raise InvalidRequestError(f"{path}: a file name cannot contain a NUL character")
    try:
        path.expanduser().stat()
    except RuntimeError:
        raise InvalidRequestError(f"{path}: there is no home folder of that user") from None
    except UnicodeEncodeError:
        encoding = sys.getfilesystemencoding()
        raise InvalidRequestError(
            f"{path}: file names of this locale have the encoding {encoding}, which has no such "
            "characters: set LC_ALL to a locale with UTF-8"
        ) from None
    except OSError as error:
        reason = _UNUSABLE.get(error.errno or 0) or _missing_folder(path)
        if reason:
            raise InvalidRequestError(f"{path}: {reason}") from None


def _missing_folder(path: Path) -> str | None:
    """Return the reason if the folder that a path counts from was removed."""
    try:
        path.expanduser().absolute()
    except FileNotFoundError:
        return "the current folder does not exist any more: change to another folder"
    return None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
