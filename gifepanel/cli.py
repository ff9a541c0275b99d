"""Command line: ``gifepanel demo``, ``gifepanel fit``, ``gifepanel versions``."""

from __future__ import annotations

import argparse
import os
import sys
import textwrap
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import gifepanel
from gifepanel.command.messages import in_shell_words, with_backticks
from gifepanel.command.suffixes import SUFFIXES
from gifepanel.command.waiting import CLEAR, compiles_first, waiting

if TYPE_CHECKING:
    import pandas as pd

    from gifepanel.command.files import ReadFile

__all__ = ["main"]

_DEPENDENCIES = (
    "numpy",
    "scipy",
    "pandas",
    "numba",
    "scikit-learn",
    "statsmodels",
    "formulaic",
    "patsy",
    "narwhals",
    "joblib",
    "tqdm",
    "matplotlib",
)

_FIT_EXAMPLES = """\
examples:
  gifepanel fit "y ~ x1 + x2 | firm" data.csv --entity firm --time year --groups 3 --factors 2
  gifepanel fit "y ~ L(y, 1) + x1" data.parquet --groups auto --factors 0-5 --output table.tex --report report.html
  gifepanel fit "y ~ x1 + x2 | firm + year" data.csv --partial "z1 + bs(z2, 4)" --weights w --cluster firm
"""


_WITHOUT_CLUSTERS = ("nonrobust", "HC0", "HC1", "HC2", "HC3", "HAC", "hac-groupsum", "driscoll-kraay", "fixed scale")


class _InputError(Exception):
    """The command line asked for something that can't be done; the text says what can."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments after the program's name; those of the process by default.

    Returns
    -------
    int
        Exit code: 0; 2 after an error, 130 after an interruption, each with one message on the standard error stream.
    """
    try:
        return _run(argv)
    except KeyboardInterrupt:
        print("gifepanel: interrupted", file=sys.stderr)
        return 130


def _run(argv: Sequence[str] | None) -> int:
    parser = _parser()
    arguments, strange = parser.parse_known_args(argv)
    if strange:
        parser.error(f"unrecognized arguments: {' '.join(strange)}{_in_our_words(arguments, strange)}")
    try:
        with _plain_warnings():
            arguments.run(arguments)
            sys.stdout.flush()
    except BrokenPipeError:
        # the reader of a pipe (`| head`) has gone: nothing more can be written, nor is it an error
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        if arguments.traceback:
            traceback.print_exc()
        else:
            print(_one_message(error), file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--traceback", action="store_true", help="show where an error came from")
    parser = argparse.ArgumentParser(
        prog="gifepanel", description="Panel data: latent groups of slopes, common factors, fixed effects."
    )
    parser.add_argument("--version", action="version", version=f"gifepanel {gifepanel.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    demo = commands.add_parser("demo", parents=[common], help="fit the cigarette panel and print the report")
    demo.add_argument("--report", metavar="PAGE", type=Path, help="write everything about the fit to a page, .html")
    demo.set_defaults(run=_demo)

    fit = commands.add_parser(
        "fit",
        parents=[common],
        help="fit a formula to a file",
        epilog=_FIT_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    fit.add_argument("formula", metavar="FORMULA", help='"y ~ x1 + x2 | effects"')
    fit.add_argument("file", metavar="FILE", type=Path, help=f"{', '.join(SUFFIXES)}; - is the standard input")
    fit.add_argument("--entity", metavar="E", help="column of the units")
    fit.add_argument("--time", metavar="T", help="column of the periods")
    fit.add_argument("--groups", metavar="K", type=_count, help='a number, "auto", or 1-4')
    fit.add_argument(
        "--factors", metavar="R", type=_count, help='a number, "auto", or 0-5; without both: PartialledOLS'
    )
    fit.add_argument("--partial", metavar="TERMS", help="PartialledOLS: controls to be partialled out")
    fit.add_argument("--weights", metavar="W", help="PartialledOLS: column of weights")
    fit.add_argument("--cov-type", metavar="TYPE", help="covariance estimator, as cov_type= of fit()")
    fit.add_argument("--cluster", metavar="C", help='column or index level to cluster by; "C1,C2" for two ways')
    fit.add_argument("--seed", metavar="SEED", type=_seed, help="seed of the random starts")
    fit.add_argument(
        "--output", metavar="TABLE", type=Path, help="write the coefficients, .csv or .tex, or the report, .html"
    )
    fit.add_argument("--report", metavar="PAGE", type=Path, help="write tables, pictures, code to a page, .html")
    fit.add_argument("--quiet", action="store_true", help="print nothing; needs --output or --report")
    fit.set_defaults(run=_fit)

    versions = commands.add_parser("versions", parents=[common], help="what this installation consists of")
    versions.set_defaults(run=_versions)
    return parser


def _count(text: str) -> int | range | str:
    """``3`` is a number, ``1-4`` a range with both ends, ``auto`` itself."""
    if text == "auto":
        return text
    first, dash, last = text.partition("-")
    if first.isdecimal() and not dash:
        return int(first)
    if first.isdecimal() and last.isdecimal() and int(first) <= int(last):
        return range(int(first), int(last) + 1)
    raise argparse.ArgumentTypeError(
        f'{text!r} is neither a number (3), nor a range from low to high (1-4), nor "auto"'
    )


def _seed(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None


# --------------------------------------------------------------------------------------------------- commands


def _demo(arguments: argparse.Namespace) -> None:
    from gifepanel.command.demo import demo_code, demo_results, reading

    _check_report(arguments.report)
    print("Cigarette demand in 46 states of the USA, 1963 to 1992 (Baltagi and Levin)")
    print(demo_code(), flush=True)
    with waiting(_fitting()):
        results = demo_results()
    print(results.summary())
    print("\n" + reading(results))
    if arguments.report is not None:
        results.report(arguments.report)
        _told_where(arguments.report, quiet=False)
    print("\nNext, a file of yours: gifepanel fit --help")


def _fit(arguments: argparse.Namespace) -> None:
    if arguments.quiet and arguments.output is None and arguments.report is None:
        raise _InputError("--quiet without --output or --report leaves nothing to show. Add --output table.csv.")
    if "~" in str(arguments.file) and "~" not in arguments.formula:
        raise _InputError(f'The formula comes first: gifepanel fit "{arguments.file}" {arguments.formula}')
    write = _writer(arguments.output, arguments.file)
    _check_report(arguments.report)
    grouped = _is_grouped(arguments)
    kind_of, ways = _cov_type(arguments)
    with waiting(f"reading {arguments.file}"):
        file = _read(arguments.file, arguments.entity, arguments.time, ids=grouped)
    data = file.data
    ways = None if ways is None else _columns(arguments.cluster, data)
    kind = gifepanel.GroupedIFE if grouped else gifepanel.PartialledOLS
    names = {"entity": "entity", "time": "time", "partial": "partial", "weights": "weights"}
    names |= {"n_groups": "groups", "n_factors": "factors"}
    given = {name: getattr(arguments, option) for name, option in names.items()}
    known = [str(name) for name in (*data.columns, *data.index.names) if name is not None]
    formula = with_backticks(arguments.formula, known)
    given["partial"] = None if given["partial"] is None else with_backticks(given["partial"], known)
    options = {
        "cov_type": "cluster" if ways and kind_of is None else kind_of,
        "cov_kwds": None if ways is None else {"groups": ways[0] if len(ways) == 1 else ways},
        "random_state": arguments.seed,
    }
    try:
        with waiting(_fitting() if grouped else "fitting"):
            model = kind.from_formula(formula, data, context=None, **_without_none(given))
            results = model.fit(**_without_none(options))
    except gifepanel.exceptions.GifepanelError as error:
        if file.told:
            error.told = file.told  # type: ignore[attr-defined]
        raise
    if not arguments.quiet:
        print(results.summary())
    if write is not None:
        arguments.output.write_text(write(results), encoding="utf-8")
    if arguments.report is not None:
        with waiting(f"writing {arguments.report}"):
            results.report(arguments.report)
        _told_where(arguments.report, quiet=arguments.quiet)


def _fitting() -> Callable[[], str]:
    """What is going on: small panels without holes are fitted by NumPy, numba comes with the first that are not."""
    if not compiles_first():
        return lambda: "fitting"
    return lambda: "fitting (compiling, once: about 20 s)" if "numba" in sys.modules else "fitting"


def _columns(text: str, data: pd.DataFrame) -> list[str]:
    """Names between commas; one name where a column has commas in its own."""
    return [text] if text in map(str, data.columns) else [name.strip() for name in text.split(",")]


def _in_our_words(arguments: argparse.Namespace, strange: Sequence[str]) -> str:
    """The options that stand for those of other packages: ``--robust``, ``--vcov ~firm``, ``--absorb firm``."""
    from gifepanel.spellings.models import model_in_our_words
    from gifepanel.spellings.options import Names

    words: dict[str, Any] = {}
    for piece in strange:
        name, equals, value = piece.partition("=")
        if name.startswith("--"):
            words[name.lstrip("-").replace("-", "_")] = value if equals else True
        elif words:
            words[next(reversed(words))] = piece
    formula = getattr(arguments, "formula", None)
    own = {name: getattr(arguments, name, None) for name in ("entity", "time", "weights", "cov_type")}
    names = Names(own["entity"], own["time"])
    given = {} if own["cov_type"] is None else {"cov_type": own["cov_type"]}
    line = None if formula is None else model_in_our_words(formula, words | given, {}, names)
    if line is None or not set(line.options) <= {"entity", "time", "n_factors", "n_groups"}:
        return ""
    out = [f'"{line.formula}"'] if line.formula != formula else []
    ways = line.fit.get("cov_kwds", {}).get("groups")
    out += [f"--cov-type {line.fit['cov_type']}"] if line.fit.get("cov_type") not in (None, "cluster") else []
    out += [] if ways is None else [f"--cluster {ways if isinstance(ways, str) else ','.join(ways)}"]
    spelled = {"entity": "entity", "time": "time", "n_factors": "factors", "n_groups": "groups"}
    out += [f"--{spelled[name]} {_counted(value)}" for name, value in line.options.items()]
    return f". In words of gifepanel: {' '.join(out)}" if out else ""


def _counted(value: Any) -> str:
    """A range as it is written on the command line."""
    return f"{value.start}-{value.stop - 1}" if isinstance(value, range) else str(value)


def _cov_type(arguments: argparse.Namespace) -> tuple[str | None, list[str] | None]:
    """--cov-type and the clusters of --cluster; words of other packages are refused with ours."""
    from gifepanel.spellings.options import Names, covariance_in_our_words

    kind = arguments.cov_type
    ways = None if arguments.cluster is None else [way.strip() for way in arguments.cluster.split(",")]
    if ways is not None and any("+" in way for way in ways):
        raise _InputError(f"--cluster {arguments.cluster}: ways are joined by commas. --cluster "
                          f"{','.join(part.strip() for way in ways for part in way.split('+'))}.")  # fmt: skip
    from gifepanel.models.linear_inference import KINDS

    names = Names(arguments.entity, arguments.time)
    line = None if kind is None else covariance_in_our_words(kind, None, names, KINDS)
    if line is not None:
        groups = line.fit.get("cov_kwds", {}).get("groups")
        own = [] if groups is None else [groups] if isinstance(groups, str) else list(groups)
        told = f" --cluster {','.join(own)}" if own and ways is None else ""
        raise _InputError(f"--cov-type {kind} is a word of another package. --cov-type {line.fit['cov_type']}{told}.")
    if ways is not None and kind in _WITHOUT_CLUSTERS:
        raise _InputError(
            f"--cov-type {kind} knows no clusters, and --cluster {arguments.cluster} names some. Leave out --cov-type "
            f"for errors clustered by {arguments.cluster}, or --cluster for {kind}."
        )
    return kind, ways


def _is_grouped(arguments: argparse.Namespace) -> bool:
    """Whether groups and factors are asked for; what belongs to the other model is refused."""
    missing = [name for name in ("groups", "factors") if getattr(arguments, name) is None]
    if len(missing) == 1:
        raise _InputError(
            f"--{missing[0]} is missing: give a number of groups and one of factors, or neither for PartialledOLS. "
            f"Add --{missing[0]} auto."
        )
    other = ("partial", "weights") if not missing else ("seed",)
    for name in other:
        if getattr(arguments, name) is not None:
            raise _InputError(
                f"--{name} is for PartialledOLS. Leave out --groups and --factors, or --{name}."
                if not missing
                else f"--{name} is for models with groups and factors. Leave it out, or add --groups and --factors."
            )
    return not missing


def _without_none(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _check_report(path: Path | None) -> None:
    """Whether the page can be written, before there is any work."""
    if path is not None:
        from gifepanel.page.report import check_report_path

        try:
            check_report_path(path)
        except gifepanel.exceptions.SpecificationError as error:
            raise _InputError(f"--report: {error.found} {error.needed}") from error


def _told_where(path: Path, *, quiet: bool) -> None:
    if not quiet:
        print(f"\nThe report is in {path}")


def _versions(_arguments: argparse.Namespace) -> None:
    import platform
    from importlib.metadata import PackageNotFoundError, version

    rows = [("gifepanel", gifepanel.__version__), ("python", platform.python_version())]
    for name in _DEPENDENCIES:
        try:
            rows.append((name, version(name)))
        except PackageNotFoundError:
            rows.append((name, "not installed"))
    rows.append(("system", platform.platform()))
    rows.append(("CPUs", str(os.cpu_count())))
    rows.append(("BLAS", _blas()))
    for name, value in rows:
        print(f"{name:<14}{value}")


# ---------------------------------------------------------------------------------------------- input, output


def _read(path: Path, entity: str | None, time: str | None, *, ids: bool) -> ReadFile:
    """The file as a data frame; with `ids`, one that has, or can be given, the index (entity, time)."""
    from gifepanel.command.files import ReadFile, read_file

    file = read_file(path)
    data = file.data
    if data.index.nlevels == 2 and {entity, time} <= {*data.index.names}:
        data = data.reset_index()
    data = _whole_ids(data, [name for name in (entity, time) if name in data.columns])
    if ids and (entity is None or time is None) and data.index.nlevels == 1:
        missing = " and ".join(f"--{n}" for n, v in (("entity", entity), ("time", time)) if v is None)
        columns = textwrap.shorten(", ".join(map(str, data.columns)), 300, placeholder=" ...")
        told = f" (It was read as text {file.told}.)" if file.told else ""
        raise _InputError(f"{path} says not who and when: give {missing}. Its columns are {columns}.{told}")
    return ReadFile(data, file.told)


def _whole_ids(data: pd.DataFrame, names: Sequence[str | None]) -> pd.DataFrame:
    """Who and when as whole numbers where they are: 2001, not 2001.0, of programs that know no other numbers."""
    for name in names:
        values = data[name]
        if values.ndim == 1 and values.dtype.kind == "f" and values.notna().all() and (values % 1 == 0).all():
            data = data.assign(**{str(name): values.astype("int64")})
    return data


def _writer(path: Path | None, source: Path) -> Any:
    """Function of the results that gives the text of the table, by the file's suffix; nothing is written yet."""
    if path is None:
        return None
    writers = {
        ".csv": lambda results: _coefficients(results).to_csv(),
        ".tex": lambda results: results.to_latex(),
        ".html": lambda results: results.summary().as_html(),
    }
    if path.suffix.lower() not in writers:
        raise _InputError(f"--output {path} is none of {', '.join(writers)}.")
    if not path.parent.is_dir():
        raise _InputError(f"--output {path}: there is no folder {path.parent}. mkdir -p {path.parent}")
    if path.is_dir() or (path.exists() and not os.access(path, os.W_OK)) or not os.access(path.parent, os.W_OK):
        raise _InputError(f"--output {path} can't be written. Name another file.")
    if path.exists() and source.exists() and path.samefile(source):
        raise _InputError(f"--output {path} is the file with the data. Name another file.")
    return writers[path.suffix.lower()]


def _coefficients(results: Any) -> pd.DataFrame:
    """One row per coefficient: estimate, standard error, statistic, p-value, 95 % interval."""
    import pandas as pd

    interval = results.conf_int()
    return pd.DataFrame(
        {
            "coef": results.params,
            "std_err": results.bse,
            "statistic": results.tvalues,
            "pvalue": results.pvalues,
            "lower": interval.iloc[:, 0],
            "upper": interval.iloc[:, 1],
        }
    ).rename_axis("term")


def _blas() -> str:
    """BLAS libraries that NumPy and SciPy have loaded, with their threads."""
    try:
        import numpy.linalg
        from threadpoolctl import threadpool_info
    except ImportError:
        return "unknown (threadpoolctl is not installed)"
    found = {
        f"{row['internal_api']} {row['version']} ({row['num_threads']} threads)"
        for row in threadpool_info()
        if row["user_api"] == "blas"
    }
    return ", ".join(sorted(found)) or f"the one of NumPy {numpy.__version__}"


# --------------------------------------------------------------------------------------------------- messages


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Show warnings as one line each, without the line of source they came from."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        stream = sys.stderr if file is None else file
        print(f"{CLEAR if stream.isatty() else ''}warning: {message}", file=stream)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def _one_message(error: Exception) -> str:
    """What to print for an error: its text, and for one that nobody foresaw also its kind."""
    foreseen = (_InputError, OSError)
    if isinstance(error, gifepanel.exceptions.GifepanelError):
        return f"gifepanel: {in_shell_words(error, getattr(error, 'told', ''))}"
    if isinstance(error, foreseen):
        return f"gifepanel: {error}"
    return f"gifepanel: {type(error).__name__}: {error} (--traceback shows where)"
