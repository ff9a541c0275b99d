"""One way to compile a kernel: numba's ``njit`` with the options every kernel of the package shares."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast, overload

import numba
from numba.core.registry import CPUDispatcher

__all__ = ["jit"]

Func = TypeVar("Func", bound=Callable[..., Any])

_DEFAULTS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy"}


@overload
def jit(func: Func, /) -> Func: ...


@overload
def jit(*signatures: str, **options: Any) -> Callable[[Func], Func]: ...


def jit(*args: Any, **options: Any) -> Any:
    """Compile a function of scalars and arrays with ``numba.njit``.

    Usable as ``@jit``, ``@jit()`` and ``@jit("f8(f8[::1])", inline="always")``. The defaults are
    ``cache=True, nogil=True, error_model="numpy"``; `options` override them. Machine code is cached beside
    the package, or in the directory of ``NUMBA_CACHE_DIR`` or of the user; where none of these is writable
    the kernel is compiled without a cache, once per process, in place of the error that numba raises at
    import. A change of any file in the kernel's directory renews the cache. Under ``NUMBA_DISABLE_JIT=1``
    the Python function itself is returned.

    Parameters
    ----------
    *args : callable or str
        The function (``@jit`` without parentheses), or numba signatures, compiled at once.
    **options
        Options of ``numba.njit``. ``fastmath`` may be a set of ``"reassoc"`` and ``"contract"``, for sums on
        vectors; anything else is refused: it lets the compiler drop checks for NaN.

    Returns
    -------
    callable
        The compiled function, or a decorator.

    Raises
    ------
    TypeError
        If ``fastmath`` is asked for, or other flags of it.

    Examples
    --------
    >>> import numpy as np
    >>> @jit
    ... def total(values):
    ...     out = 0.0
    ...     for value in values:
    ...         out += value
    ...     return out
    >>> float(total(np.ones(3)))
    3.0
    """
    if not _keeps_nan(options.get("fastmath", False)):
        raise TypeError(
            'fastmath is refused, but for {"reassoc", "contract"}: it lets the compiler drop checks for NaN.'
        )
    if len(args) == 1 and not isinstance(args[0], str) and callable(args[0]):
        return _compile(args[0], (), options)

    def decorate(func: Func) -> Func:
        return _compile(func, args, options)

    return decorate


def _keeps_nan(fastmath: Any) -> bool:
    return fastmath is False or (fastmath is not True and set(fastmath) <= {"reassoc", "contract"})


def _compile(func: Func, signatures: tuple[Any, ...], options: dict[str, Any]) -> Func:
    """``numba.njit`` of `func`, without a cache where numba finds no place for one."""
    options = {**_DEFAULTS, **options}
    try:
        compiled = numba.njit(**options)(func)
    except RuntimeError:
        # numba: "cannot cache function ...: no locator available for file ..."
        compiled = numba.njit(**{**options, "cache": False})(func)
    else:
        if options["cache"] and compiled is not func and not _stamp(compiled, func):
            compiled = numba.njit(**{**options, "cache": False})(func)
    if signatures and compiled is not func:
        for signature in signatures:
            compiled.compile(signature)
        compiled.disable_compile()
    if type(compiled) is CPUDispatcher:
        compiled.__class__ = _Interruptible
    return cast("Func", compiled)


class _Interruptible(CPUDispatcher):
    """A compiled function that lets Ctrl-C be a KeyboardInterrupt.

    A signal that arrives while numba looks at the arguments or boxes the result leaves an exception behind a call that
    succeeded; Python turns that into "SystemError: CPUDispatcher ... returned a result with an exception set".
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().__call__(*args, **kwargs)
        except SystemError as error:
            cause: BaseException | None = error
            while cause is not None and not isinstance(cause, KeyboardInterrupt):
                cause = cause.__cause__ or cause.__context__
            if cause is None:
                raise
        raise KeyboardInterrupt


def _stamp(compiled: Any, func: Callable[..., Any]) -> bool:
    """Tie the cached code to every module of the directory; False where this numba has no such stamp.

    numba renews a cached function when its own file changes. Code of other files that it calls is compiled
    into it, so a kernel whose own file stays the same would outlive a correction of its neighbour.
    """
    file: Any = getattr(getattr(compiled, "_cache", None), "_cache_file", None)
    if not hasattr(file, "_source_stamp"):
        return False
    file._source_stamp = (file._source_stamp, _digest(Path(func.__code__.co_filename).parent))
    return True


@cache
def _digest(directory: Path) -> str:
    """SHA-256 of the Python files of a directory, by name."""
    digest = hashlib.sha256()
    for path in sorted(directory.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
