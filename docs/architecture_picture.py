"""Draw the layers from the imports of the code: ``python docs/architecture_picture.py``.

A box is a folder of the package (or a file at its top), an arrow an import, for types too. An arrow that follows from
others is left out: where a imports b and b imports c, none is drawn from a to c. What everything imports
(``exceptions``, ``short_repr``) and what imports everything on demand (the package itself) is not drawn.
"""

from __future__ import annotations

import ast
from itertools import pairwise
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "gifepanel"
PICTURE = Path(__file__).parent / "_static" / "layers.svg"
LEFT_OUT = {"exceptions", "short_repr", "__init__", "__main__"}
ARRAYS_ONLY = {"kernels", "projections", "solvers", "inference"}
ROOM, WIDTH, HEIGHT, GAP, RISE = 900, 132, 34, 24, 74


def folder(module: str) -> str:
    """``gifepanel.solvers.sweep`` -> ``solvers``."""
    return [*module.split("."), "__init__"][1]


def arrows() -> dict[str, set[str]]:
    """Folders that each folder imports from."""
    out: dict[str, set[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        own = folder(".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts))
        found = out.setdefault(own, set())
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
                "gifepanel"
            ):
                names = (
                    [f"gifepanel.{a.name}" for a in node.names]
                    if node.module == "gifepanel"
                    else [str(node.module)]
                )
                found |= {folder(name) for name in names}
            elif isinstance(node, ast.Import):
                found |= {
                    folder(a.name)
                    for a in node.names
                    if a.name.startswith("gifepanel.")
                }
    return {
        name: found - LEFT_OUT - {name}
        for name, found in out.items()
        if name not in LEFT_OUT
    }


def reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    """All that `start` imports, directly or not."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = graph[waiting.pop()] - found
        found |= new
        waiting += sorted(new)
    return found


def reduced(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """Arrows that do not follow from others."""
    return {
        name: {
            to
            for to in targets
            if not any(to in reachable(graph, other) for other in targets - {to})
        }
        for name, targets in graph.items()
    }


def levels(graph: dict[str, set[str]]) -> dict[str, int]:
    """Height of every folder: one more than the highest it imports."""
    height: dict[str, int] = {}

    def of(name: str) -> int:
        if name not in height:
            height[name] = 1 + max((of(to) for to in graph[name]), default=-1)
        return height[name]

    for name in graph:
        of(name)
    return height


def placed(
    graph: dict[str, set[str]],
) -> tuple[dict[str, tuple[float, float]], list[list[str]]]:
    """Centres of boxes and of the bends of arrows that pass a level, and the arrows as chains of both."""
    height = levels(graph)
    rows: list[list[str]] = [[] for _ in range(max(height.values()) + 1)]
    for name in sorted(graph):
        rows[height[name]].append(name)
    chains = []
    for name in sorted(graph):
        for to in sorted(graph[name]):
            bends = [
                f"{name}>{to}@{level}"
                for level in range(height[name] - 1, height[to], -1)
            ]
            for bend in bends:
                rows[int(bend.rpartition("@")[2])].append(bend)
            chains.append([name, *bends, to])
    near: dict[str, list[str]] = {}
    for chain in chains:
        for one, two in pairwise(chain):
            near.setdefault(one, []).append(two)
            near.setdefault(two, []).append(one)
    x = {name: float(k) for row in rows for k, name in enumerate(row)}
    for sweep in range(40):
        for row in rows if sweep % 2 else rows[::-1]:
            wanted = {
                name: sum(x[other] for other in near.get(name, [name]))
                / len(near.get(name, [0]))
                for name in row
            }
            row.sort(key=lambda name: (wanted[name], name))
            sizes = [WIDTH if "@" not in name else 70 for name in row]
            start = (ROOM - sum(sizes) - GAP * (len(row) - 1)) / 2
            for name, size in zip(row, sizes, strict=True):
                x[name] = start + size / 2
                start += size + GAP
    top = len(rows) - 1
    return {
        name: (x[name], 40 + RISE * (top - level))
        for level, row in enumerate(rows)
        for name in row
    }, chains


def draw() -> str:
    """The picture as SVG."""
    graph = reduced(arrows())
    at, chains = placed(graph)
    bottom = max(y for _, y in at.values()) + 40
    reach = max(ROOM / 2, *(abs(x - ROOM / 2) + WIDTH / 2 + 8 for x, _ in at.values()))
    left, wide = ROOM / 2 - reach, 2 * reach
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{left:.0f} 0 {wide:.0f} {bottom:.0f}" width="{wide:.0f}" '
        f'height="{bottom:.0f}" role="img" aria-labelledby="t d" font-family="Helvetica, Arial, sans-serif" '
        'font-size="13">',
        '  <title id="t">Folders of gifepanel and what they import</title>',
        f'  <desc id="d">{_words(graph)}</desc>',
        '  <defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0 0L8 4L0 8z" fill="#555555"/></marker></defs>',
        f'  <rect x="{left:.0f}" width="{wide:.0f}" height="{bottom:.0f}" rx="8" fill="#ffffff"/>',
        '  <g fill="none" stroke="#555555" stroke-width="1.1">',
    ]
    for chain in chains:
        points = [at[name] for name in chain]
        points = [
            (points[0][0], points[0][1] + HEIGHT / 2),
            *points[1:-1],
            (points[-1][0], points[-1][1] - HEIGHT / 2),
        ]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        out.append(f'    <polyline points="{line}" marker-end="url(#head)"/>')
    out.append("  </g>")
    for name in sorted(graph):
        fill, edge = (
            ("#e9f5f0", "#009E73") if name in ARRAYS_ONLY else ("#e8f1f8", "#0072B2")
        )
        x, y = at[name]
        out.append(
            f'  <rect x="{x - WIDTH / 2:.1f}" y="{y - HEIGHT / 2:.1f}" width="{WIDTH}" height="{HEIGHT}" rx="5" '
            f'fill="{fill}" stroke="{edge}"/>'
        )
        out.append(
            f'  <text x="{x:.1f}" y="{y + 4.5:.1f}" text-anchor="middle" fill="#111111">{name}</text>'
        )
    return "\n".join([*out, "</svg>", ""])


def _words(graph: dict[str, set[str]]) -> str:
    said = (
        f"{name} imports {', '.join(sorted(graph[name]))}"
        for name in sorted(graph)
        if graph[name]
    )
    return "; ".join(said) + ". Green: arrays only, no data frames."


if __name__ == "__main__":
    PICTURE.write_text(draw(), "utf-8")
