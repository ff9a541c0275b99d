"""Pictures of the pages, drawn while the site is built by the code that stands above them.

On a page with a picture ``![...](generated/pictures/NAME.png)``, the Python blocks run in order, and the figure that
the block before the picture leaves behind becomes that file.  Tests run the same blocks.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

BLOCK = re.compile(
    r"^```python\n(.*?)^```|\]\((generated/pictures/[\w-]+\.png)\)",
    re.MULTILINE | re.DOTALL,
)
FIGURE = {
    "dpi": 110,
    "bbox_inches": "tight",
    "transparent": True,  # the page's own ground shows: custom.css turns letters and lines about in the dark
    "metadata": {"Software": None},
}


def draw_page(page: Path, folder: Path) -> list[Path]:
    """Run the blocks of a page and save its pictures below `folder`."""
    from matplotlib import pyplot as plt

    text = page.read_text("utf-8")
    found: list[Path] = []
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for block in BLOCK.finditer(text):
        if block[1] is not None:
            plt.close("all")
            lines = "\n" * text.count(
                "\n", 0, block.start(1)
            )  # an error names the line of the page
            exec(compile(lines + block[1], str(page), "exec"), namespace)
        else:
            target = folder / block[2]
            target.parent.mkdir(parents=True, exist_ok=True)
            plt.gcf().savefig(target, **FIGURE)
            found.append(target)
    plt.close("all")
    return found


def draw(app: Sphinx) -> None:
    """All pages with pictures, before they are read; the others are left alone."""
    import matplotlib

    source = Path(app.srcdir)
    with matplotlib.rc_context({"backend": "agg"}):
        for page in sorted(source.glob("*.md")):
            if "](generated/pictures/" in page.read_text("utf-8"):
                draw_page(page, source)


def setup(app: Sphinx) -> dict[str, bool]:
    """Draw before reading, so that the pictures are there when pages ask for them."""
    app.connect("builder-inited", draw)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
