"""The Python examples of the README and the documentation run, page by page and in order, and print what is shown."""

from __future__ import annotations

import doctest
import re
from pathlib import Path
from typing import Any

import pytest

from tests.tables.snapshots import difference

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^```(?:python|\{code-cell\}[^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHOWN = re.compile(r"\s*^```text\n(.*?)^```", re.MULTILINE | re.DOTALL)
SPACES = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def pages() -> list[Path]:
    found = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [path for path in found if "_build" not in path.parts and examples(path)]


def examples(path: Path) -> list[tuple[int, str, str | None]]:
    """Line number and text of every Python block of a page, and of the text block right after it."""
    text = path.read_text("utf-8")
    found = []
    for block in FENCE.finditer(text):
        shown = SHOWN.match(text, block.end())
        found.append((text.count("\n", 0, block.start(1)), block[1], shown[1] if shown else None))
    return found


@pytest.mark.parametrize("page", pages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_examples_run_in_order(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    capsys.readouterr()
    for line, source, shown in examples(page):
        # blank lines before the block: an error names the line of the page
        exec(compile("\n" * line + source, str(page), "exec"), namespace)
        printed = capsys.readouterr().out
        if shown is not None:
            # to the letter, or but for the last digits and the numbers of iterations, which differ between machines
            same = doctest.OutputChecker().check_output(shown, printed, SPACES)
            assert same or difference(shown, printed) is None, f"line {line} prints\n{printed}"


def test_readme_has_examples() -> None:
    assert ROOT / "README.md" in pages()


def test_the_fence_is_read_as_markdown_does() -> None:
    text = "```python\na = 1\n```\n\n```bash\nls\n```\n\n```{code-cell} ipython3\nb = 2\n```\n"
    assert FENCE.findall(text) == ["a = 1\n", "b = 2\n"]


def test_what_is_shown_belongs_to_the_block_before(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```python\nprint(1)\n```\n\n```text\n1\n```\n\nWords.\n\n```python\na = 1\n```\n\nMore.\n\n```text\n2\n```\n"
    )
    assert examples(page) == [(1, "print(1)\n", "1\n"), (11, "a = 1\n", None)]
