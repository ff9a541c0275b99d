"""Simulations: a function of random numbers, many times."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

from gifepanel.exceptions import SpecificationError
from gifepanel.models.checkpoints import check_repeatable, checkpoint_of
from gifepanel.models.checks import check_count
from gifepanel.parallel import Progress, run_tasks, spawn_seeds

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["monte_carlo"]


def monte_carlo(
    function: Callable[..., Any],
    n: int = 1000,
    *,
    arguments: Sequence[Any] = (),
    random_state: Any = 0,
    n_jobs: int | None = None,
    progress: Progress = None,
    checkpoint: str | PathLike[str] | None = None,
) -> pd.DataFrame:
    """Call a function with `n` streams of random numbers, and put what it returns into the rows of a table.

    Parameters
    ----------
    function : callable
        ``function(rng, *arguments)``: a mapping of names to numbers, a Series or a number. On several workers it must
        be one that can be pickled or is defined in the script itself.
    n : int
        Number of draws.
    arguments : sequence
        Given to every call.
    random_state : int, Generator or SeedSequence
        Draw j has a stream of its own: it is the same whatever `n`, the workers and the engine.
    n_jobs : int, optional
        Workers; None is one unless a ``joblib.parallel_config`` says otherwise: processes, threads, Dask, Ray.
    progress : bool or callable, optional
        Progress bar: None shows it on a terminal after two seconds.
    checkpoint : str or path, optional
        A folder that keeps what is finished. The same call again goes on from there, after an interrupt or with more
        draws.

    Returns
    -------
    DataFrame
        A row for each draw, a column for each name.

    Raises
    ------
    SpecificationError
        For something that can't be called, and a checkpoint of another run. What the function raises is passed on with
        a note that says which draw it was, and how to make it again.

    Examples
    --------
    >>> import gifepanel as gife
    >>> def slopes(rng):
    ...     panel = gife.datasets.simulate("S", n_entities=30, n_times=15, random_state=rng)
    ...     model = gife.InteractiveFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_factors=2)
    ...     return model.fit().params
    >>> gife.monte_carlo(slopes, 4).round(2)
            x1    x2
    draw
    0     0.99  1.13
    1     0.90  0.96
    2     1.12  0.97
    3     0.91  0.90
    """
    if not callable(function):
        raise SpecificationError(
            f"monte_carlo was given a {type(function).__name__}.",
            "It calls a function with a random generator.",
            "gife.monte_carlo(lambda rng: rng.normal(), 100)",
        )
    n = check_count("n", n, 1, usual=1000)
    seed = check_repeatable(random_state, checkpoint)
    name = f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', type(function).__qualname__)}"
    place = checkpoint_of(
        checkpoint, f"Monte Carlo of {name}", random_state, function=_source(function), arguments=tuple(arguments)
    )
    values = run_tasks(
        _one_draw,
        [(function, stream, j, *arguments) for j, stream in enumerate(spawn_seeds(seed, n))],
        n_jobs=n_jobs,
        progress=progress,
        description=getattr(function, "__name__", "draws"),
        checkpoint=place,
    )
    return _table(values)


def _one_draw(function: Callable[..., Any], stream: Any, number: int, *arguments: Any) -> Any:
    import numpy as np

    try:
        return function(np.random.default_rng(stream), *arguments)
    except Exception as error:
        again = f"np.random.SeedSequence({stream.entropy}, spawn_key={stream.spawn_key})"
        error.add_note(f"This was draw {number}; its random numbers are those of np.random.default_rng({again}).")
        raise


def _source(function: Callable[..., Any]) -> str:
    """What a function is, as far as that can be read."""
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        return ""


def _table(values: Sequence[Any]) -> pd.DataFrame:
    import pandas as pd

    rows = [dict(value) if isinstance(value, (Mapping, pd.Series)) else {"value": value} for value in values]
    return pd.DataFrame(rows, index=pd.RangeIndex(len(rows), name="draw"))
