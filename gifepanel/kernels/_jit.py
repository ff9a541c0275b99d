"""One way to compile a kernel: numba's ``njit`` with the options every kernel of the package shares."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from collections.abc import Callable
from functools import cache, cached_property, update_wrapper
from importlib import import_module
from pathlib import Path
from time import thread_time
from typing import Any, TypeVar, cast, overload

__all__ = ["jit"]

Func = TypeVar("Func", bound=Callable[..., Any])

_DEFAULTS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy"}
# kernels with twins in NumPy are compiled once twins have computed for so many seconds: compiling takes longer
_PATIENCE = 4.0
# arguments with more elements than this go to compiled code at once
_SMALL = 500_000


@overload
def jit(func: Func, /) -> Func: ...


@overload
def jit(*signatures: str, **options: Any) -> Callable[[Func], Func]: ...


def jit(*args: Any, **options: Any) -> Any:
    """Compile a function of scalars and arrays with ``numba.njit``, when it is first called.

    Usable as ``@jit``, ``@jit()`` and ``@jit("f8(f8[::1])", inline="always")``. The defaults are
    ``cache=True, nogil=True, error_model="numpy"``; `options` override them. Machine code is cached beside
    the package, or in the directory of ``NUMBA_CACHE_DIR`` or of the user; where none of these is writable
    the kernel is compiled without a cache, once per process, in place of the error that numba raises. A change of
    any file in the kernel's directory renews the cache. Under ``NUMBA_DISABLE_JIT=1`` the Python function itself
    is called.

    Parameters
    ----------
    *args : callable or str
        The function (``@jit`` without parentheses), or numba signatures, compiled at once.
    **options
        Options of ``numba.njit``. ``fastmath`` may be a set of ``"reassoc"`` and ``"contract"``, for sums on
        vectors; anything else is refused: it lets the compiler drop checks for NaN. ``plain=True`` says that the
        folder ``plain`` has the same function in NumPy, in a file of the same name and with the same numbers. Where
        no code is cached, small calls go there until such calls have taken four seconds of computing in all.

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
        return _Interruptible(args[0], (), options)

    def decorate(func: Func) -> Func:
        return cast("Func", _Interruptible(func, args, options))

    return decorate


def _keeps_nan(fastmath: Any) -> bool:
    return fastmath is False or (fastmath is not True and set(fastmath) <= {"reassoc", "contract"})


class _Kernel:
    """A function that numba gets when it is first needed; where nothing is cached its twin in NumPy does at first."""

    spent = 0.0  # seconds in twins, all kernels together

    def __init__(self, func: Callable[..., Any], signatures: tuple[Any, ...], options: dict[str, Any]) -> None:
        update_wrapper(self, func)
        self._func, self._signatures = func, signatures
        self._options = {name: value for name, value in options.items() if name != "plain"}
        self._has_twin = bool(options.get("plain"))
        # the first is what numba made, the second what calls go to without another thought
        self._dispatcher: Any = None
        self._code: Callable[..., Any] | None = None
        self._looked, self._lock = False, threading.Lock()
        if signatures:
            self._compiled()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        code = self._code
        if code is not None:
            return code(*args, **kwargs)
        if not self._may_be_plain(args):
            self._code = self._compiled()
            return self._code(*args, **kwargs)
        started = thread_time()
        try:
            return self._twin(*args, **kwargs)
        finally:
            _Kernel.spent += thread_time() - started

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._compiled(), name)

    def __reduce__(self) -> str:
        return str(self.__qualname__)

    @property
    def _numba_type_(self) -> Any:
        """What numba takes it for inside other kernels."""
        return self._compiled()._numba_type_

    @cached_property
    def _twin(self) -> Callable[..., Any]:
        package, _, file = self._func.__module__.rpartition(".")
        return cast("Callable[..., Any]", getattr(import_module(f"{package}.plain.{file}"), self._func.__name__))

    def _compiled(self) -> Any:
        """numba's dispatcher."""
        with self._lock:
            if self._dispatcher is None:
                self._dispatcher = _compile(self._func, self._signatures, self._options)
        return self._dispatcher

    def _may_be_plain(self, args: tuple[Any, ...]) -> bool:
        """Whether this call may go to the twin: a small one, no code cached, and little time spent in twins so far."""
        if not self._has_twin or _Kernel.spent > _PATIENCE or _is_off():
            return False
        if sum(arg.size for arg in args if hasattr(arg, "size")) > _SMALL:
            return False
        if not self._looked:
            # files first: importing numba takes as long as a small fit
            self._looked = True
            if _has_file(self._func) and _has_code(self._compiled()):
                return False
        return True


class _Interruptible(_Kernel):
    """A kernel that lets Ctrl-C be a KeyboardInterrupt.

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


def _is_off() -> bool:
    """Whether numba is told to compile nothing: its kernels are then the Python functions, as they are asked for."""
    return os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")


def _has_file(func: Callable[..., Any]) -> bool:
    """Whether numba left a file for the function where it usually does."""
    source = Path(func.__code__.co_filename)
    folder = f"{source.parent.name}_{hashlib.sha1(str(source.parent).encode(), usedforsecurity=False).hexdigest()}"
    chosen, home = os.environ.get("NUMBA_CACHE_DIR"), os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    places = [Path(chosen) / folder] if chosen else [source.parent / "__pycache__", Path(home) / "numba" / folder]
    version = f"{sys.version_info[0]}{sys.version_info[1]}{getattr(sys, 'abiflags', '')}"
    name = f"{source.stem}.{func.__qualname__}-{func.__code__.co_firstlineno}.py{version}.nbi"
    return any((place / name).exists() for place in places)


def _has_code(compiled: Any) -> bool:
    """Whether the cache has machine code made from the present files."""
    file: Any = getattr(getattr(compiled, "_cache", None), "_cache_file", None)
    return bool(hasattr(file, "_load_index") and file._load_index())


def _compile(func: Func, signatures: tuple[Any, ...], options: dict[str, Any]) -> Func:
    """``numba.njit`` of `func`, without a cache where numba finds no place for one."""
    import numba  # half a second, which a small first fit does without

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
    return cast("Func", compiled)


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
