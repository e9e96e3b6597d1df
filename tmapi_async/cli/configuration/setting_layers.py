"""Layers of settings, and the order in which they win: pure functions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import msgspec

from tmapi_async.errors import InvalidRequestError

from .setting_keys import KEYS

Source: TypeAlias = Literal["option", "environment", "job file", "project file", "user file"]

_FILES = ("job file", "project file", "user file")
_OWN_FILES = ("project file", "user file")

_REPLACES: Mapping[str, frozenset[str]] = {
    "sandbox": frozenset({"base_url", "token_file"}),
    "token": frozenset({"token_file"}),
    "refresh": frozenset({"older_than"}),
    "older_than": frozenset({"refresh"}),
    "split": frozenset({"max_pages"}),
    "max_pages": frozenset({"split", "ceiling"}),
    "dry_run": frozenset({"confirm_above"}),
    "estimate": frozenset({"confirm_above"}),
    "cluster": frozenset({"split", "ceiling"}),
    "workers": frozenset({"split", "ceiling"}),
    "more": frozenset({"to"}),
    "run": frozenset({"history"}),
    "since": frozenset({"history"}),
}
"""Name -> names of settings that cannot be in force beside it, and give way to it."""

_CONTRARY = (("refresh", "older_than"), ("split", "max_pages"))
"""Settings of which one file must not have both."""


class Layer(msgspec.Struct, frozen=True):
    """Values of one source.

    Attributes:
        source: Kind of the source.
        places: Name of each value -> its place: an option, a variable or a file.
        values: Name of each value -> the value.
    """

    source: Source
    places: Mapping[str, str]
    values: Mapping[str, Any]


class Setting(msgspec.Struct, frozen=True):
    """One value in force.

    Attributes:
        value: The value.
        source: Kind of its source.
        place: Option, variable or file that it comes from.
    """

    value: Any
    source: Source
    place: str

    @property
    def from_file(self) -> bool:
        """True if a file sets it."""
        return self.source in _FILES


def merge_layers(layers: Sequence[Layer], *, keep_all: bool = False) -> dict[str, Setting]:
    """Return the values in force, each with its source.

    A value gives way to one of the same name in an earlier layer, and to one that excludes it. A
    setting of the user or the project without effect (`max_age` without `cache`) is left out.

    Args:
        layers: The layers; the first one wins.
        keep_all: Keep settings without effect, to show them.

    Raises:
        InvalidRequestError: Two values of one file exclude each other.
    """
    merged: dict[str, Setting] = {}
    replaced: set[str] = set()
    for layer in layers:
        for name, value in layer.values.items():
            if name in merged:
                merged[name] = _lower(merged[name], name, value, layer)
            elif name not in replaced:
                merged[name] = Setting(value, layer.source, layer.places[name])
        _check_contradictions(layer, merged)
        for name in layer.values:
            if merged.get(name) and merged[name].value not in (None, False):
                replaced |= _REPLACES.get(name, frozenset())
    for name, has_effect in () if keep_all else _HAS_EFFECT.items():
        if name in merged and merged[name].source in _OWN_FILES and not has_effect(merged):
            del merged[name]
    return merged


def name_sources(message: str, in_force: Mapping[str, Setting]) -> str:
    """Return a message about options, with the files that have set these options.

    Args:
        message: A message that may name options, as they are typed.
        in_force: Settings in force.
    """
    notes = [
        f"{name} is set in {setting.place}"
        for name, setting in in_force.items()
        if re.search(rf"--{name.replace('_', '-')}(?![\w-])", message)
    ]
    return f"{message} ({', '.join(notes)})" if notes else message


def _lower(setting: Setting, name: str, value: Any, layer: Layer) -> Setting:
    """Return the setting, or the user's value if it is a lower limit than that of the project."""
    is_limit = name in KEYS and KEYS[name].limit
    if is_limit and setting.source == "project file" and value < setting.value:
        return Setting(value, layer.source, layer.places[name])
    return setting


def _check_contradictions(layer: Layer, merged: Mapping[str, Setting]) -> None:
    if layer.source not in _FILES:
        return  # the checks of the options name those
    for one, other in _CONTRARY:
        pair = [merged[name] for name in (one, other) if name in merged]
        if len(pair) > 1 and all(part.source == layer.source and part.value for part in pair):
            raise InvalidRequestError(
                f"{layer.places[one]}: {one} and {other} exclude each other: remove one"
            )


def _value(merged: Mapping[str, Setting], name: str) -> Any:
    return merged[name].value if name in merged else None


def _destinations(merged: Mapping[str, Setting]) -> list[str]:
    return [*(_value(merged, "to") or ()), *(_value(merged, "more") or ())]


def _has_csv(merged: Mapping[str, Setting]) -> bool:
    return any(target.lower().endswith(".csv") for target in _destinations(merged))


def _can_have_history(merged: Mapping[str, Setting]) -> bool:
    targets = _destinations(merged)
    return bool(targets) and "-" not in targets


def _has_cache(merged: Mapping[str, Setting]) -> bool:
    return _value(merged, "cache") is not None


_HAS_EFFECT: Mapping[str, Callable[[Mapping[str, Setting]], bool]] = {
    "ceiling": lambda merged: bool(_value(merged, "split")),
    "csv_bom": _has_csv,
    "history": _can_have_history,
    "max_age": _has_cache,
    "stale_if_error": _has_cache,
}
"""Name of a setting -> test if it has an effect beside the others."""
