"""Draw the chart of the performance page, ``docs/_static/performance.svg``: ``python docs/performance_picture.py``.

From the stored results of ``benchmarks``, times on a logarithmic scale.
"""

from __future__ import annotations

import csv
from html import escape
from pathlib import Path
from statistics import median

HERE = Path(__file__).parent
PICTURE = HERE / "_static" / "performance.svg"
RESULTS = HERE.parent / "benchmarks" / "results"
OURS, PEER = "#0072B2", "#D55E00"
COLOURS = {
    "gifepanel": OURS,
    "fereg": "#009E73",
    "pyfixest, within-py": "#E69F00",
    "pyfixest": "#CC79A7",
    "linearmodels": "#777777",
    "PyHDFE": "#56B4E9",
}
LIMIT = 60.0  # seconds after which a call was stopped
Row = tuple[str, list[tuple[str, float | None]]]


def groups() -> list[Row]:
    """Seconds by size of the panel, penalised estimates of groups at the peer's own default."""
    found: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for row in _table("peer"):
        if float(row["kappa"]) == 0.1:
            size = int(row["n"]), int(row["t"])
            times = float(row["peer_seconds"]), float(row["whole_seconds"])
            found.setdefault(size, []).append(times)
    out: list[Row] = []
    for (n, t), times in sorted(found.items()):
        peer, ours = (median(one[k] for one in times) for k in (0, 1))
        out.append(
            (
                f"{n} entities, {t} periods",
                [("groupedpaneldatamodels", peer), ("gifepanel", ours)],
            )
        )
    return out


def effects() -> list[Row]:
    """Seconds by design, a million rows with three or four effects; None where there was no answer in a minute."""
    out: dict[str, list[tuple[str, float | None]]] = {}
    for row in _table("absorb"):
        if row["rows"] == "1000000" and row["package"] in COLOURS:
            try:
                seconds: float | None = float(row["seconds"])
            except ValueError:
                seconds = None
            out.setdefault(row["design"], []).append((row["package"], seconds))
    return [(design, sorted(times, key=_last)) for design, times in out.items()]


def _last(one: tuple[str, float | None]) -> float:
    return LIMIT if one[1] is None else one[1]


def _table(name: str) -> list[dict[str, str]]:
    with (RESULTS / f"{name}.csv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def draw() -> str:
    """The picture as text."""
    import math

    parts: list[str] = []
    left, width, step = 190, 610, 26

    def at(seconds: float) -> float:
        return left + width * (math.log10(seconds) + 2.0) / (
            math.log10(LIMIT * 1.6) + 2.0
        )

    def panel(top: int, title: str, rows: list[Row], colours: dict[str, str]) -> int:
        parts.append(
            f'<text x="20" y="{top}" font-weight="bold">{escape(title)}</text>'
        )
        shown = dict.fromkeys(name for _, times in rows for name, _ in times)
        x = 20.0
        for name in [one for one in colours if one in shown]:
            parts.append(
                f'<circle cx="{x + 5:.0f}" cy="{top + 18}" r="5" fill="{colours[name]}"/>'
            )
            parts.append(f'<text x="{x + 15:.0f}" y="{top + 22}">{escape(name)}</text>')
            x += 34 + 7.2 * len(name)
        first, bottom = top + 46, top + 46 + step * (len(rows) - 1)
        for tick, label in (
            (0.01, "10 ms"),
            (0.1, "0.1 s"),
            (1.0, "1 s"),
            (10.0, "10 s"),
            (60.0, "60 s"),
        ):
            parts.append(
                f'<line x1="{at(tick):.1f}" x2="{at(tick):.1f}" y1="{first - 12}" y2="{bottom + 12}" stroke="#dddddd"/>'
            )
            parts.append(
                f'<text x="{at(tick):.1f}" y="{bottom + 28}" text-anchor="middle" fill="#555555">{label}</text>'
            )
        for number, (label, times) in enumerate(rows):
            y = first + step * number
            parts.append(
                f'<text x="{left - 12}" y="{y + 4}" text-anchor="end">{escape(label)}</text>'
            )
            beyond = 0
            for name, seconds in times:
                if seconds is None:
                    cx = at(LIMIT) + 12 + 13 * beyond
                    beyond += 1
                    look = f'fill="#ffffff" stroke="{colours[name]}" stroke-width="2"'
                else:
                    cx, look = at(seconds), f'fill="{colours[name]}"'
                parts.append(
                    f'<circle cx="{cx:.1f}" cy="{y}" r="5.5" {look}><title>{escape(name)}</title></circle>'
                )
        return bottom + 66

    top = panel(
        24,
        "Groups of slopes and two factors, whole call",
        groups(),
        {"gifepanel": OURS, "groupedpaneldatamodels": PEER},
    )
    top = panel(
        top,
        "Least squares with three or four fixed effects, a million rows",
        effects(),
        COLOURS,
    )
    note = "Logarithmic scale, one machine, compiled code warm. Hollow: no answer within a minute, or not converged."
    parts.append(f'<text x="20" y="{top - 18}" fill="#555555">{note}</text>')
    height = top
    body = "\n  ".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 860 {height}" width="860" height="{height}" role="img" '
        'aria-labelledby="t" font-family="Helvetica, Arial, sans-serif" font-size="13">\n'
        '  <title id="t">Times of gifepanel and of other packages</title>\n'
        f'  <rect width="860" height="{height}" rx="8" fill="#ffffff"/>\n  {body}\n</svg>\n'
    )


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
