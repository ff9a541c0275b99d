"""Side by side with groupedpaneldatamodels' Su-Ju estimator: the criterion reached and the time it takes.

    python benchmarks/bench_peer.py [--quick] [--draws 3]

Both run in one process with one thread on the same panels and the same raw kappa, compiled code warm. The criterion of
both is computed by one function, independent of both packages. Writes ``peer.csv``, ``peer_growth.csv``, ``peer.md``.
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

Array = np.ndarray[Any, np.dtype[np.float64]]
KAPPAS = (0.01, 0.1, 1.0, 10.0)
PEER_DEFAULT = 0.1
N, T, P, K, R = 100, 40, 2, 3, 2
SIZES = (25, 50, 100, 200, 400)
SLACK = 1e-10
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
    from gifepanel.solvers import grouped as module

    options = GroupedOptions(kappa=kappa, standardize=False)

    def call() -> Any:
        arrays = prepare(data.y, data.x)
        start = module.heterogeneous_slopes(arrays, R)
        centres = module._starting_centres(start, K, options, arrays.scale)[0]
        return module._penalized(arrays, R, options, start, centres)

    return call


def compare_once(n: int, t: int, draw: int, kappa: float, repeats: int) -> dict[str, Any]:
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


def warm() -> None:
    """Compile everything."""
    compare_once(12, 10, 0, 1.0, 1)


def by_kappa(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Medians over draws."""
    out = []
    for n in sorted({row["n"] for row in rows}):
        for kappa in sorted({row["kappa"] for row in rows if row["n"] == n}):
            same = [row for row in rows if row["n"] == n and row["kappa"] == kappa]
            mid = {key: statistics.median(row[key] for row in same) for key in same[0]}
            out.append(
                {
                    "size": f"{n}x{same[0]['t']}",
                    "kappa": f"{kappa:g}",
                    "draws": len(same),
                    "not_higher": f"{sum(row['not_higher'] for row in same)} of {len(same)}",
                    "gap_ppm": f"{min(row['gap_ppm'] for row in same):.3g} to {max(row['gap_ppm'] for row in same):.3g}",
                    "peer": f"{mid['peer_seconds']:.2f}",
                    "whole": f"{1e3 * mid['whole_seconds']:.1f}",
                    "solver": f"{1e3 * mid['solver_seconds']:.1f}",
                    "estimates": f"{1e3 * mid['estimates_seconds']:.1f}",
                    "ratio_whole": f"{mid['ratio_whole']:.0f}",
                    "ratio_solver": f"{mid['ratio_solver']:.0f}",
                    "ratio_estimates": f"{mid['ratio_estimates']:.0f}",
                    "accuracy_peer": f"{statistics.fmean(row['accuracy_peer'] for row in same):.3f}",
                    "accuracy_ours": f"{statistics.fmean(row['accuracy_ours'] for row in same):.3f}",
                }
            )
    return out


def report(rows: Sequence[Mapping[str, Any]]) -> str:
    """The text of ``peer.md``."""
    columns = {
        "size": "N x T",
        "kappa": "κ",
        "not_higher": "Q not higher",
        "gap_ppm": "gap in Q, ppm",
        "peer": "peer, s",
        "whole": "whole call, ms",
        "solver": "solver, ms",
        "estimates": "estimates, ms",
        "ratio_whole": "ratio, whole",
        "ratio_solver": "ratio, solver",
        "ratio_estimates": "ratio, estimates",
        "accuracy_peer": "accuracy, peer",
        "accuracy_ours": "ours",
    }
    quality = [columns_ for columns_ in ("size", "kappa", "not_higher", "gap_ppm", "accuracy_peer", "accuracy_ours")]
    timing = [name for name in columns if name not in quality[2:]]
    table = by_kappa(rows)
    worse = [row for row in rows if not row["not_higher"]]
    return "\n\n".join(
        [
            f"Design S with p = {P}, K = {K}, R = {R}.",
            NOTES.strip(),
            markdown_table(table, {name: columns[name] for name in quality}),
            markdown_table(table, {name: columns[name] for name in timing}),
            f"Our criterion is higher in {len(worse)} of {len(rows)} fits"
            + "".join(f"; N = {r['n']}, draw {r['draw']}, κ = {r['kappa']:g}: {r['gap_ppm']:.3g} ppm" for r in worse)
            + ".",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    options_parser = parser(__doc__ or "", draws=5)
    options_parser.add_argument("--budget", type=float, default=420.0, help="seconds the peer may take in all")
    options = options_parser.parse_args(arguments)
    draws = 1 if options.quick else options.draws
    tasks = [(N, T, draw, kappa) for draw in range(draws) for kappa in KAPPAS]
    growth = [(n, T, 0, kappa) for n in (SIZES[:2] if options.quick else SIZES) for kappa in (PEER_DEFAULT, 1.0) if n != N]
    if options.quick:
        tasks = [(50, T, 0, kappa) for kappa in KAPPAS[:2]]
        growth = [(25, T, 0, PEER_DEFAULT)]
    runner = Runner(quiet=options.quiet)
    rows: list[dict[str, Any]] = []
    used, skipped = 0.0, 0
    with one_thread():
        warm()
        for _, row in runner(_within_budget, [(options.budget, *task) for task in [*tasks, *growth]], "fits"):
            if row is None:
                skipped += 1
                continue
            rows.append(row)
            used += row["peer_seconds"]
            print(_line(row), flush=True)
    if not rows:
        return
    text = report(rows)
    if skipped:
        text += f"\n\n{skipped} fits were left out: the peer had used its {options.budget:.0f} seconds."
    complete = not (options.quick or runner.interrupted or skipped)
    folder = write_results("peer", {"peer": rows}, text, options=options, complete=complete, notes={"draws": draws})
    print(f"\n{text}\n\nwritten to {folder.name}/")


_spent = 0.0


def _within_budget(budget: float, n: int, t: int, draw: int, kappa: float) -> dict[str, Any] | None:
    global _spent
    if _spent >= budget:
        return None
    row = compare_once(n, t, draw, kappa, 5)
    _spent += row["peer_seconds"]
    return row


def _line(row: Mapping[str, Any]) -> str:
    return (
        f"{row['n']}x{row['t']} draw {row['draw']} kappa {row['kappa']:g}: Q {row['q_peer']:.8f} peer,"
        f" {row['q_ours']:.8f} ours; {row['peer_seconds']:.2f} s peer, {1e3 * row['whole_seconds']:.1f} ms ours"
    )


if __name__ == "__main__":
    main()
