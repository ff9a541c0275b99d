"""Columns as formulas count with them: whole numbers never wrap around, truth values are 0 and 1."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["Counted", "uncounted"]

_LARGEST = 2**63 - 1
_OF_TRUTHS = frozenset(
    {
        *("logical_and", "logical_or", "logical_xor", "logical_not", "bitwise_and", "bitwise_or", "bitwise_xor"),
        *("invert", "equal", "not_equal", "less", "less_equal", "greater", "greater_equal"),
        *("isnan", "isfinite", "isinf", "maximum", "minimum", "fmax", "fmin"),
    }
)
_BOUNDS: dict[str, Callable[..., int]] = {
    "add": operator.add,
    "subtract": operator.add,
    "multiply": operator.mul,
    "negative": lambda largest: largest,
    "absolute": lambda largest: largest,
    "square": lambda largest: largest**2,
    "power": lambda largest, power: largest**power if math.log2(largest or 1) * power < 64 else _LARGEST + 1,
}
"""What a result is at most in absolute value, from the largest absolute values of what goes in."""


class Counted(pd.Series):
    """A column (n,) with pandas' methods.

    Sums, differences, products and powers of whole numbers stay whole where they have room, and are float64 where they
    may have none. Truth values are 0 and 1 in all but comparisons, ``& | ^ ~``, maximum and minimum.
    """

    @property
    def _constructor(self) -> type[Counted]:
        return Counted

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        bare = [uncounted(one) for one in inputs]
        if method != "__call__" or "out" in options:
            return pd.Series(self, copy=False).__array_ufunc__(ufunc, method, *bare, **options)
        return _calculated(ufunc.__name__, functools.partial(ufunc, **options), bare)

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        out = np.empty(0).__array_function__(function, (), args, options)
        return Counted(out, index=self.index) if function is np.where and out.shape == self.shape else out


def _method(name: str, function: Callable[..., Any], *, reflected: bool = False) -> Callable[..., Any]:
    def method(self: Any, *others: Any) -> Any:
        operands = (*others, self) if reflected else (self, *others)
        return _calculated(name, function, [uncounted(one) for one in operands])

    return method


for _name, _operator in {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "pow": "power",
    "truediv": "divide",
    "floordiv": "floor_divide",
    "mod": "remainder",
}.items():
    setattr(Counted, f"__{_name}__", _method(_operator, getattr(operator, _name)))
    setattr(Counted, f"__r{_name}__", _method(_operator, getattr(operator, _name), reflected=True))
for _name, _operator in {"neg": "negative", "pos": "positive", "abs": "absolute"}.items():
    setattr(Counted, f"__{_name}__", _method(_operator, getattr(operator, _name)))


def _named(usual: Callable[..., Any], operation: str) -> Callable[..., Any]:
    def method(self: Any, other: Any, *args: Any, **options: Any) -> Any:
        both = [uncounted(self), uncounted(other)]
        return _calculated(operation, lambda one, another: usual(one, another, *args, **options), both)

    return method


for _operator, _names in {
    "add": ("add", "radd"),
    "subtract": ("sub", "subtract", "rsub"),
    "multiply": ("mul", "multiply", "rmul"),
    "power": ("pow",),
}.items():
    for _name in _names:
        setattr(Counted, _name, _named(getattr(pd.Series, _name), _operator))


def uncounted(value: Any) -> Any:
    """The same values as a plain Series, out of formulaic's wrapper; anything else as it is."""
    bare = getattr(value, "__wrapped__", value)
    return pd.Series(bare, copy=False) if type(bare) is Counted else bare


def _calculated(name: str, function: Callable[..., Any], operands: Sequence[Any]) -> Any:
    if name not in _OF_TRUTHS:
        operands = [_whole(one) for one in operands]
    if name in _BOUNDS and all(_is_whole(one) for one in operands) and not _has_room(name, operands):
        operands = [one.astype(np.float64) if hasattr(one, "astype") else float(one) for one in operands]
    out = function(*operands)
    return Counted(out, copy=False) if type(out) is pd.Series else out


def _whole(value: Any) -> Any:
    """Truth values and short integers as int64."""
    if isinstance(value, (bool, np.bool_)):
        return int(value)
    dtype = getattr(value, "dtype", None)
    short = isinstance(dtype, np.dtype) and (dtype.kind == "b" or (dtype.kind in "iu" and dtype.itemsize < 8))
    return value.astype(np.int64) if short else value


def _is_whole(value: Any) -> bool:
    dtype = getattr(value, "dtype", None)
    return isinstance(value, int) or (isinstance(dtype, np.dtype) and dtype.kind in "iu")


def _has_room(name: str, operands: Sequence[Any]) -> bool:
    """Whether int64 holds every result, as far as extremes can tell."""
    ends = [_ends(one) for one in operands]
    if name == "power" and ends[1][0] < 0:
        return False
    return _BOUNDS[name](*(max(-low, high) for low, high in ends)) <= _LARGEST


def _ends(value: Any) -> tuple[int, int]:
    if isinstance(value, int):
        return value, value
    array = np.asarray(value)
    return (int(array.min()), int(array.max())) if array.size else (0, 0)
