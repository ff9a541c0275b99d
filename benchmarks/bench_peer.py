"""Side by side with groupedpaneldatamodels' Su-Ju estimator: the criterion reached and the time it takes.

    python benchmarks/bench_peer.py [--quick] [--draws 3]

Both run in one process with one thread on the same panels and the same raw kappa, compiled code warm. The criterion of
both is computed by one function, independent of both packages. Writes ``peer.csv``, ``peer_steps.csv``, ``peer.md``.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from common import Runner, markdown_table, median_time, one_thread, parser, write_results

import gifepanel as gife
from gifepanel.solvers.arrays import prepare
from gifepanel.solvers.grouped import GroupedOptions, fit_grouped
from gifepanel.solvers.penalized import fit_penalized

Array = np.ndarray[Any, np.dtype[np.float64]]
Row = dict[str, Any]
KAPPAS = (0.01, 0.1, 1.0, 10.0)
PEER_DEFAULT = 0.1
N, T, P, K, R = 100, 40, 2, 3, 2
SIZES = (25, 50, 100, 200, 400)
SLACK = 1e-10
OURS = {"whole": "whole call", "solver": "solver", "estimates": "estimates"}
NOTES = """\
*Q*: criterion of Su & Ju (2018, eq. 2.7) at the slopes and centres returned, relative gap in parts per million (of
Q of the peer). *whole call*: `GroupedIFE(y, x, ...).fit(kappa=...)`, with classification, refit, four further starts
of the least squares and inference. *solver*: arrays to groups and refit. *estimates*: what the peer computes, the
penalised slopes and centres alone. Ratios: time of the peer over ours; the peer has neither refit nor standard errors.
"""


def criterion(y: Array, x: Array, beta: Array, alpha: Array, kappa: float, n_factors: int) -> float:
    """Q(beta, alpha) for unit slopes (N, p) and centres (K, p), from the definition.

    The sum of the eigenvalues of the residuals' second moment after the `n_factors` largest, over T, plus kappa times
    the mean product of distances to the centres (Su & Ju 2018, eq. 2.7).
    """
    n, t = y.shape
    resid = y - np.array([x[i] @ beta[i] for i in range(n)])
    values = np.sort(np.linalg.eigvalsh(resid.T @ resid / n))
    distances = np.array([[np.linalg.norm(b - a) for a in alpha] for b in beta])
    return float(values[: t - n_factors].sum() / t + kappa * distances.prod(axis=1).mean())


def panel(n: int, t: int, draw: int) -> gife.datasets.SimulatedPanel:
    """Design S."""
    return gife.datasets.simulate("S", n, t, random_state=np.random.SeedSequence(4, spawn_key=(n, t, draw)))


def peer_fit(data: gife.datasets.SimulatedPanel, kappa: float) -> tuple[Array, Array]:
    """Slopes (N, p) and centres (K, p) of groupedpaneldatamodels, its own defaults but for kappa."""
    from groupedpaneldatamodels.models.su_ju import interactive_effects_estimation

    n, t, p = data.x.shape
    # its K-means draws from NumPy's global stream
    np.random.seed(0)  # noqa: NPY002
    beta, alpha, *_ = interactive_effects_estimation(data.y[:, :, None], data.x, n, t, p, K, R, kappa=kappa)
    return beta.T, alpha.T


def our_fit(data: gife.datasets.SimulatedPanel, kappa: float) -> Any:
    """The whole call."""
    return gife.GroupedIFE(data.y, data.x, n_groups=K, n_factors=R).fit(kappa=kappa)


def solver(data: gife.datasets.SimulatedPanel, kappa: float, **options: Any) -> Callable[[], Any]:
    """The solver alone, from arrays."""
    chosen = GroupedOptions(kappa=kappa, standardize=False, **options)
    return lambda: fit_grouped(prepare(data.y, data.x), K, R, chosen)


def estimates(data: gife.datasets.SimulatedPanel, kappa: float) -> Callable[[], Any]:
    """Start, sweep and descent, up to the penalised slopes and centres and no further."""
    options = GroupedOptions(kappa=kappa, standardize=False)
    return lambda: fit_penalized(prepare(data.y, data.x), K, R, options)


def compare_once(n: int, t: int, draw: int, kappa: float, repeats: int) -> Row:
    """One panel at one kappa."""
    data = panel(n, t, draw)
    begin = time.perf_counter()
    beta, alpha = peer_fit(data, kappa)
    peer_seconds = time.perf_counter() - begin
    results = our_fit(data, kappa)
    ours = results.penalized
    q_peer = criterion(data.y, data.x, beta, alpha, kappa, R)
    q_ours = criterion(data.y, data.x, ours.unit_params.to_numpy(), ours.centers.to_numpy(), kappa, R)
    whole = median_time(lambda: our_fit(data, kappa), repeats)["median"]
    alone = median_time(solver(data, kappa), repeats)["median"]
    only = median_time(estimates(data, kappa), repeats)["median"]
    return {
        "n": n,
        "t": t,
        "draw": draw,
        "kappa": kappa,
        "q_peer": q_peer,
        "q_ours": q_ours,
        "gap_ppm": 1e6 * (q_peer - q_ours) / q_peer,
        "not_higher": int(q_ours <= q_peer * (1.0 + SLACK)),
        "peer_seconds": peer_seconds,
        "whole_seconds": whole,
        "solver_seconds": alone,
        "estimates_seconds": only,
        "ratio_whole": peer_seconds / whole,
        "ratio_solver": peer_seconds / alone,
        "ratio_estimates": peer_seconds / only,
        "accuracy_peer": accuracy(data, beta, alpha),
        "accuracy_ours": accuracy(data, ours.unit_params.to_numpy(), ours.centers.to_numpy()),
    }


def accuracy(data: gife.datasets.SimulatedPanel, beta: Array, alpha: Array) -> float:
    """Share of entities in their group by the nearest centre, after the best relabelling."""
    from draws import match_groups

    nearest = np.linalg.norm(beta[:, None] - alpha[None], axis=2).argmin(axis=1) + 1
    return match_groups(data.truth.groups, nearest, len(alpha))[1]


def iteration(n: int, repeats: int) -> Row:
    """What one step costs: the peer's numerical gradient, and an iteration of our descent."""
    from groupedpaneldatamodels.models import su_ju

    from gifepanel.solvers.descent import _Descent

    data = panel(n, T, 0)
    arrays = prepare(data.y, data.x)
    problem = _Descent(arrays, R, PEER_DEFAULT)
    centres = data.truth.alpha.copy()
    beta = np.ascontiguousarray(centres[data.truth.groups - 1] + 0.1 * np.random.default_rng(0).standard_normal((n, P)))
    state = problem.state(centres, beta, np.full(n, -1, dtype=np.int64), None)
    objective = su_ju._objective_value_without_individual_effects
    # contiguous, as its optimiser hands them over
    b, a = np.ascontiguousarray(beta.T), np.ascontiguousarray(centres.T)
    one = median_time(lambda: objective(data.y, data.x, b, a, PEER_DEFAULT, n, R, T), 20 * repeats)["median"]
    ours = median_time(lambda: problem.iterate(state), 4 * repeats)["median"]
    gradient = one * (n * P + P + 1)
    return {"n": n, "peer_gradient_seconds": gradient, "our_iteration_seconds": ours, "ratio": gradient / ours}


def by_kappa(rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Medians over draws."""
    out = []
    for n in sorted({row["n"] for row in rows}):
        for kappa in sorted({row["kappa"] for row in rows if row["n"] == n}):
            same = [row for row in rows if row["n"] == n and row["kappa"] == kappa]
            mid = {key: statistics.median(row[key] for row in same) for key in same[0]}
            gaps = [row["gap_ppm"] for row in same]
            out.append(
                {
                    "size": f"{n}x{same[0]['t']}",
                    "kappa": f"{kappa:g}",
                    "not_higher": f"{sum(row['not_higher'] for row in same)} of {len(same)}",
                    "gap_ppm": f"{min(gaps):.3g} to {max(gaps):.3g}",
                    "accuracy_peer": f"{statistics.fmean(row['accuracy_peer'] for row in same):.3f}",
                    "accuracy_ours": f"{statistics.fmean(row['accuracy_ours'] for row in same):.3f}",
                    "peer": f"{mid['peer_seconds']:.2f}",
                    **{name: f"{1e3 * mid[name + '_seconds']:.1f}" for name in OURS},
                    **{f"ratio_{name}": f"{mid['ratio_' + name]:.0f}" for name in OURS},
                }
            )
    return out


def report(rows: Sequence[Mapping[str, Any]], steps: Sequence[Mapping[str, Any]]) -> str:
    """The text of ``peer.md``."""
    size = {"size": "N x T", "kappa": "κ"}
    quality = {
        "not_higher": "Q not higher",
        "gap_ppm": "gap in Q, ppm",
        "accuracy_peer": "accuracy, peer",
        "accuracy_ours": "ours",
    }
    timing = {
        "peer": "peer, s",
        **{name: f"{words}, ms" for name, words in OURS.items()},
        **{f"ratio_{name}": f"ratio, {words}" for name, words in OURS.items()},
    }
    table = by_kappa(rows)
    worse = [row for row in rows if not row["not_higher"]]
    parts = [
        f"Design S with p = {P}, K = {K}, R = {R}. The peer's own default is κ = {PEER_DEFAULT:g}.",
        NOTES,
        markdown_table(table, {**size, **quality}),
        f"Our criterion is higher in {len(worse)} of {len(rows)} fits."
        + "".join(f" N = {r['n']}, draw {r['draw']}, κ = {r['kappa']:g}: {r['gap_ppm']:.3g} ppm." for r in worse),
        markdown_table(table, {**size, **timing}),
    ]
    if steps:
        cells = [
            {
                "n": row["n"],
                "peer": f"{1e3 * row['peer_gradient_seconds']:.1f}",
                "ours": f"{1e3 * row['our_iteration_seconds']:.2f}",
                "ratio": f"{row['ratio']:.0f}",
            }
            for row in steps
        ]
        parts += [
            f"One step at T = {T}, in milliseconds: a gradient of the peer, by differences, and an iteration of our\n"
            "descent (units, centres and factors, each exact). The first grows with the square of N.",
            markdown_table(cells, {"n": "N", "peer": "peer, ms", "ours": "ours, ms", "ratio": "ratio"}),
        ]
    return "\n\n".join(part.strip() for part in parts)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    options_parser = parser(__doc__ or "", draws=5)
    options_parser.add_argument("--budget", type=float, default=480.0, help="seconds the peer may take in all")
    options = options_parser.parse_args(arguments)
    tasks = [(N, T, draw, kappa) for draw in range(options.draws) for kappa in KAPPAS]
    tasks += [
        (n, T, draw, PEER_DEFAULT) for n in SIZES if n != N for draw in range(min(options.draws, 3 if n <= N else 2))
    ]
    if options.quick:
        tasks = [(50, T, 0, KAPPAS[0]), (50, T, 0, PEER_DEFAULT), (25, T, 0, PEER_DEFAULT)]
    runner = Runner(quiet=options.quiet)
    rows: list[Row] = []
    steps: list[Row] = []
    skipped = 0

    def within_budget(n: int, t: int, draw: int, kappa: float) -> Row | None:
        return compare_once(n, t, draw, kappa, 5) if sum(row["peer_seconds"] for row in rows) < options.budget else None

    with one_thread():
        # compile everything
        compare_once(12, 10, 0, 1.0, 1)
        for _, row in runner(within_budget, tasks, "fits"):
            if row is None:
                skipped += 1
                continue
            rows.append(row)
            print(_line(row), flush=True)
        for _, row in runner(iteration, [(n, 1 if options.quick else 5) for n in SIZES], "steps"):
            steps.append(row)
    if not rows:
        return
    text = report(rows, steps)
    if skipped:
        text += f"\n\n{skipped} fits were left out: the peer had used its {options.budget:.0f} seconds."
    complete = not (options.quick or runner.interrupted or skipped)
    tables = {"peer": rows, "peer_steps": steps}
    folder = write_results("peer", tables, text, options=options, complete=complete, notes={"draws": options.draws})
    print(f"\n{text}\n\nwritten to {folder.name}/")


def _line(row: Mapping[str, Any]) -> str:
    return (
        f"{row['n']}x{row['t']} draw {row['draw']} kappa {row['kappa']:g}: Q {row['q_peer']:.8f} peer,"
        f" {row['q_ours']:.8f} ours; {row['peer_seconds']:.2f} s peer, {1e3 * row['whole_seconds']:.1f} ms ours"
    )


if __name__ == "__main__":
    main()
