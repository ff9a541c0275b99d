"""The Python examples of the README and the documentation run, page by page and in order."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^```(?:python|\{code-cell\}[^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def pages() -> list[Path]:
    found = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [path for path in found if "_build" not in path.parts and examples(path)]


def examples(path: Path) -> list[tuple[int, str]]:
    """Line number and text of every Python block of a page."""
    text = path.read_text("utf-8")
    return [(text.count("\n", 0, block.start(1)), block[1]) for block in FENCE.finditer(text)]


@pytest.mark.parametrize("page", pages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_examples_run_in_order(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for line, source in examples(page):
        # blank lines before the block: an error names the line of the page
        exec(compile("\n" * line + source, str(page), "exec"), namespace)


def test_readme_has_examples() -> None:
    assert ROOT / "README.md" in pages()


def test_the_fence_is_read_as_markdown_does() -> None:
    text = "```python\na = 1\n```\n\n```bash\nls\n```\n\n```{code-cell} ipython3\nb = 2\n```\n"
    assert FENCE.findall(text) == ["a = 1\n", "b = 2\n"]
