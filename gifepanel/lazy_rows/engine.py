"""Queries to where the data live: what is asked, what comes home, and what is said when one fails."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gifepanel.exceptions import DataError, GifepanelError
from gifepanel.lazy_rows.failures import Asked, failure, is_interrupt, is_of_an_engine
from gifepanel.parallel import Progress, beside, counter

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Gone", "Home", "LazyRows", "Trips", "quiet", "told"]

Array = np.ndarray[Any, np.dtype[np.float64]]
_QUERIES = 8  # what a fit asks, or so
_POLL = 0.2  # seconds between looks at the engine's own progress


@dataclass(frozen=True, eq=False)
class Home:
    """A small table that came home, as pyarrow has it."""

    table: Any

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def names(self) -> list[str]:
        """Of the columns."""
        return list(self.table.column_names)

    def numbers(self, name: str) -> Array:
        """A column as float64 (m,); NaN for null."""
        column = self.table.column(name)
        kind = str(column.type)
        if kind.startswith("decimal"):
            import pyarrow as pa

            column = column.cast(pa.float64())
        return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)

    def is_whole(self, name: str) -> bool:
        """Whether a column holds whole numbers."""
        return str(self.table.column(name).type).startswith(("int", "uint"))

    def number(self, name: str) -> float:
        """The one value of a column."""
        return float(self.numbers(name)[0])

    def count(self, name: str) -> int:
        """The one value of a column, 0 where no row was summed."""
        value = self.number(name)
        return 0 if np.isnan(value) else round(value)

    def labels(self, name: str) -> pd.Series:
        """A column as pandas has it."""
        return self.table.column(name).to_pandas()

    def matrix(self, names: Sequence[str]) -> Array:
        """Columns side by side, (m, q)."""
        out = np.empty((len(self), len(names)))
        for j, name in enumerate(names):
            out[:, j] = self.numbers(name)
        return out


@dataclass
class Trips:
    """What was asked of the engine so far.

    Attributes
    ----------
    scans : int
        How often the rows were read.
    queries : int
    largest : int
        Bytes of the largest table that came home.
    what : str
        What it was.
    """

    scans: int = 0
    queries: int = 0
    largest: int = 0
    what: str = ""

    def note(self, reads: int, size: int, what: str) -> None:
        """Count a query that read the rows so often and brought `size` bytes."""
        self.scans += reads
        self.queries += 1
        if size > self.largest:
            self.largest, self.what = size, what


@dataclass(eq=False)
class LazyRows:
    """Rows at an engine.

    Attributes
    ----------
    frame : narwhals LazyFrame
    asked : Asked
        Engine and data, for messages.
    backend : str
        In what tables come home: "pyarrow" or "pandas".
    upload : callable
        A pyarrow table as a native lazy frame of the same engine.
    percent : callable, optional
        The engine's own progress, 0 to 100.
    interrupt : callable, optional
        Stops the query that runs.
    declared : mapping of str to narwhals dtype
        Types that the data have and the engine does not know.
    """

    frame: Any
    asked: Asked
    backend: str
    upload: Callable[[Any], Any]
    percent: Callable[[], float] | None = None
    interrupt: Callable[[], None] | None = None
    declared: Mapping[str, Any] = field(default_factory=dict)
    trips: Trips = field(default_factory=Trips)
    on_query: Callable[[float], None] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Without connections and what uses them."""
        without = dict.fromkeys(("percent", "interrupt", "on_query", "upload"))
        return {**self.__dict__, **without, "frame": Gone(), "asked": Asked(self.engine, self.source)}

    @property
    def engine(self) -> str:
        """ "DuckDB", "Polars", ..."""
        return self.asked.engine

    @property
    def source(self) -> str:
        """What the data are called in messages."""
        return self.asked.source

    @contextmanager
    def progress(self, progress: Progress, description: str) -> Iterator[None]:
        """Show how far queries are, until the end of the block: as many as there will be, or so."""
        with counter(progress, _QUERIES * 100, description) as count:
            done = 0

            def told(share: float) -> None:
                nonlocal done
                now = min(_QUERIES * 100 - 1, 100 * (self.trips.queries - before) + round(100 * share))
                if now > done:
                    count(now - done)
                    done = now

            before, self.on_query = self.trips.queries, told if progress is not False else None
            try:
                yield
                count(_QUERIES * 100 - done)
            finally:
                self.on_query = None

    @property
    def schema(self) -> Mapping[str, Any]:
        """Types by name."""
        with self.told("read the columns of"):
            return {**self.frame.collect_schema(), **self.declared}

    def small(self, columns: Mapping[str, Any]) -> Any:
        """A small table at the engine, as a narwhals frame."""
        import narwhals.stable.v2 as nw
        import pyarrow as pa

        with quiet():
            return nw.from_native(self.upload(pa.table(dict(columns))))

    def bring(self, frame: Any, what: str, *, reads: int = 1) -> Home:
        """Run a query and bring its result home.

        Parameters
        ----------
        frame : narwhals LazyFrame
        what : str
            For messages and for the summary: what comes home.
        reads : int
            How often the rows are read for it.

        Raises
        ------
        DataError
            If the engine fails, with the file where it can be told.
        """
        with self.told(f"bring {what} from"), self._watched():
            table = self._collected(frame)
        self.trips.note(reads, int(table.nbytes), what)
        return Home(table)

    def _collected(self, frame: Any) -> Any:
        import pyarrow as pa

        native = self._run(lambda: frame.collect(self.backend).to_native())
        return native if isinstance(native, pa.Table) else pa.Table.from_pandas(native, preserve_index=False)

    def _run(self, query: Callable[[], Any]) -> Any:
        """Run a query; beside the main thread where the engine would not hear of Ctrl-C."""
        if self.interrupt is None or threading.current_thread() is not threading.main_thread():
            return query()
        # not join(): a thread whose join is interrupted counts as ended while it runs (Python 3.11)
        done, finished = dict[str, Any](), threading.Event()

        def work() -> None:
            try:
                with quiet():
                    done["value"] = query()
            except BaseException as error:
                done["error"] = error
            finally:
                finished.set()

        worker = threading.Thread(target=work, daemon=True)
        worker.start()
        try:
            while not finished.wait(_POLL):
                pass
        except KeyboardInterrupt:
            self.interrupt()
            while not finished.wait(_POLL):  # again, should the query have begun since
                self.interrupt()
            raise
        if "error" in done:
            raise done["error"]
        return done["value"]

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Tell how far the query is, from a thread beside it."""
        told, percent = self.on_query, self.percent
        if told is None:
            yield
            return
        if percent is None:
            yield
        else:
            with beside(lambda: told(max(0.0, min(percent(), 99.0)) / 100), _POLL):
                yield
        told(1.0)

    def told(self, doing: str) -> AbstractContextManager[None]:
        """Errors of the engine as ours: what was asked, which file, why."""
        return told(self.asked, doing)


@contextmanager
def told(asked: Asked, doing: str) -> Iterator[None]:
    """Errors of an engine as ours: what was asked, which file, why."""
    try:
        with quiet():
            yield
    except (GifepanelError, KeyboardInterrupt):
        raise
    except Exception as error:
        if is_interrupt(error):
            raise KeyboardInterrupt from error
        if not is_of_an_engine(error):
            raise
        raise failure(asked, doing, error) from error


class Gone:
    """Stands for a frame at an engine in results that were stored: a connection can't be."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise DataError(
            "These results were stored, and the connection to their rows was not.",
            "Rows are asked where they are; the numbers of the summary stand.",
            "Fit the model again for anything else",
        )


@contextmanager
def quiet() -> Iterator[None]:
    """Without what narwhals and the engines say of their own future; what we say ourselves is of another kind."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        yield
