"""Options as fields of structs: the annotation of a field is the option that Typer shows and reads.

A command takes one struct. A field that is a struct itself is a group of options that several
commands share.
"""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeGuard, TypeVar

import msgspec

from tmapi_async.cli.configuration.setting_layers import name_sources
from tmapi_async.errors import InvalidRequestError

from .path_checks import check_values

StructT = TypeVar("StructT", bound=msgspec.Struct)

SETTINGS = "tmapi_async.settings"
"""Key of a command's context for the settings of files that are in force."""


def takes_struct(command: Callable[..., None]) -> Callable[..., None]:
    """Let Typer see the fields of a command's struct parameters as options of the command."""
    hints = typing.get_type_hints(command, include_extras=True)
    structs = {name: kind for name, kind in hints.items() if _is_struct(kind)}
    params: list[inspect.Parameter] = []
    for param in inspect.signature(command).parameters.values():
        if param.name in structs:
            params += _parameters(structs[param.name])
        else:
            kind = inspect.Parameter.KEYWORD_ONLY
            params.append(param.replace(kind=kind, annotation=hints[param.name]))

    @functools.wraps(command)
    def run(**values: Any) -> None:
        for name, kind in structs.items():
            values[name] = _build(kind, values)
            check_values(values[name])
        try:
            command(**values)
        except InvalidRequestError as error:
            context = values.get("context")
            in_force = context.meta.get(SETTINGS, {}) if context else {}
            if type(error) is not InvalidRequestError or not in_force:
                raise
            raise InvalidRequestError(name_sources(error.message, in_force)) from None

    run.__signature__ = inspect.Signature(params)  # type: ignore[attr-defined]
    run.__annotations__ = {param.name: param.annotation for param in params}
    return run


def replace_options(struct: StructT, values: Mapping[str, Any]) -> StructT:
    """Return the struct with other values for some options, those of its groups included.

    Args:
        struct: The options of a command.
        values: Name of each option to change, with its value; other names are ignored.
    """
    changes: dict[str, Any] = {}
    for name in struct.__struct_fields__:
        value = getattr(struct, name)
        if isinstance(value, msgspec.Struct):
            changes[name] = replace_options(value, values)
        elif name in values:
            changes[name] = values[name]
    return msgspec.structs.replace(struct, **changes)


def _is_struct(kind: Any) -> TypeGuard[type[msgspec.Struct]]:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _parameters(kind: type[msgspec.Struct]) -> Iterator[inspect.Parameter]:
    hints = typing.get_type_hints(kind, include_extras=True)
    for field in msgspec.structs.fields(kind):
        hint = hints[field.name]
        if _is_struct(hint):
            yield from _parameters(hint)
        else:
            required = field.default is msgspec.NODEFAULT
            yield inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if required else field.default,
                annotation=hint,
            )


def _build(kind: type[StructT], values: dict[str, Any]) -> StructT:
    hints = typing.get_type_hints(kind)
    return kind(
        **{
            name: _build(hints[name], values) if _is_struct(hints[name]) else values.pop(name)
            for name in kind.__struct_fields__
        }
    )
