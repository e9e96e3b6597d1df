"""Types of the values that the filters of the endpoints take."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal, TypeAlias

Language: TypeAlias = Literal["en", "zh", "ru", "vi", "ja", "ko"]
Sort: TypeAlias = Literal["default", "sales", "price_up", "price_down"]
ShopSort: TypeAlias = Literal["default", "sales", "price_up", "price_down", "time_up", "time_down"]
RatingSort: TypeAlias = Literal["default", "latest"]
Price: TypeAlias = Decimal | int | float | str
"""Yuan, from 0; text is read exactly."""

Weight: TypeAlias = Decimal | int | float | str
"""Kilograms, from 0; text is read exactly."""
