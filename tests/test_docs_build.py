"""What the documentation's build adds to Sphinx: formulas without a network, pictures from the code above them."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from gifepanel.cli import main
from gifepanel.datasets import load_cigar

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(DOCS.glob("*.md"))
CODE = re.compile(r"^```.*?^```|`[^`\n]+`", re.MULTILINE | re.DOTALL)
FORMULA = re.compile(r"\$\$(.+?)\$\$|(?<!\$)\$([^$\n]+(?:\n[^$\n]+)?)\$", re.DOTALL)
COMMAND = re.compile(r"^```bash\n(gifepanel [^\n]*)\n```(?:\n+```text\n(.*?)^```)?", re.MULTILINE | re.DOTALL)


@pytest.fixture
def extension(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import a module of docs/_ext; it needs the packages of the extra `docs`."""
    monkeypatch.syspath_prepend(str(DOCS / "_ext"))
    for package in ("sphinx", "latex2mathml"):
        pytest.importorskip(package)
    yield pytest.importorskip
    for name in ("mathml", "navigation", "pictures", "prose"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_formula_is_understood(page: Path, extension: Any) -> None:
    """A command that the converter does not know would be printed with its backslash."""
    to_mathml = extension("mathml").to_mathml
    for block, line in FORMULA.findall(CODE.sub("", page.read_text("utf-8"))):
        latex = block or line
        shown = "".join(ElementTree.fromstring(to_mathml(latex, "block" if block else "inline")).itertext())
        assert "\\" not in shown and "&" not in shown, latex


def test_formulas_are_tidied(extension: Any) -> None:
    to_mathml = extension("mathml").to_mathml
    space = "{http://www.w3.org/1998/Math/MathML}"
    prime = ElementTree.fromstring(to_mathml(r"X_i'M_F \lVert b \rVert", "inline"))
    assert [node.text for node in prime.iter(f"{space}mo")] == ["\u2032", "\u2016", "\u2016"]
    assert [node.get("stretchy") for node in prime.iter(f"{space}mo")] == [None, "false", "false"]
    assert not list(prime.iter(f"{space}msubsup"))
    below = ElementTree.fromstring(to_mathml(r"\operatorname{arg\,min}_{b} b", "block"))
    assert [node[0].text for node in below.iter(f"{space}munder")] == ["arg\u2009min"]
    lines = ElementTree.fromstring(to_mathml(r"a &= b \\ c &= d", "block"))
    assert len(list(lines.iter(f"{space}mtr"))) == 2


def test_pictures_are_those_of_the_block_before(tmp_path: Path, extension: Any) -> None:
    draw_page = extension("pictures").draw_page
    start = "```python\nfrom matplotlib import pyplot as plt\n\nfigure, ax = plt.subplots(figsize=(4, 3))\n```\n\n"
    more = "![one](generated/pictures/one.png)\n\n```python\nplt.subplots(figsize=(2, 1))\n```\n\n"
    page = tmp_path / "page.md"
    page.write_text(start + more + "![two](generated/pictures/two.png)\n")
    one, two = draw_page(page, tmp_path)
    assert one.name == "one.png" and two.name == "two.png"
    assert one.stat().st_size > two.stat().st_size > 0


def test_commands_print_what_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    load_cigar().reset_index().to_csv("cigar.csv", index=False)
    commands = [
        (line, shown) for line, shown in COMMAND.findall((DOCS / "command_line.md").read_text("utf-8")) if shown
    ]
    assert len(commands) == 2
    for line, shown in commands:
        code = main(shlex.split(line)[1:])
        printed = capsys.readouterr()
        text = " ".join((printed.out + printed.err).split())
        assert code == (2 if "gifepanel:" in shown else 0)
        for part in shown.split("...\n"):
            assert " ".join(part.split()) in text


TREE = """<p class="caption">Start</p><ul>
<li class="toctree-l1"><a class="reference internal" href="start.html">Start</a></li>
<li class="toctree-l1"><a class="reference internal" href="api.html">API</a><ul>
<li class="toctree-l2"><a class="reference internal" href="generated/gifepanel.select.html">select</a></li>
</ul>
</li>
<li class="toctree-l1"><a class="reference external" href="https://example.org/api.html">elsewhere</a></li>
</ul>
"""


def test_one_tree_of_pages_serves_all(extension: Any) -> None:
    """Links start from the page, and it and what is above it are current."""
    navigation = extension("navigation").navigation
    own = navigation(TREE, "generated/gifepanel.select.html")
    assert '<a class="current reference internal" href="#">select</a>' in own
    assert '<li class="toctree-l2 current">' in own and own.count("toctree-l1 current") == 1
    assert '<ul class="current">\n<li class="toctree-l1">' in own
    assert 'href="../start.html"' in own and 'href="https://example.org/api.html"' in own
    assert navigation(TREE, "_modules/gifepanel/cli.html") == TREE.replace('l" href="', 'l" href="../../').replace(
        "../../https", "https"
    )
    assert navigation(TREE, "genindex.html") == TREE


@pytest.mark.parametrize(
    ("text", "prose"),
    [
        ("DataError: no row is left. " * 9, True),
        ("5 of 11 rows; left out: {'price': 1}", True),
        ("country        str\nyear         int64", False),
        ("======\nmodel", False),
        ("       x1\n1    0.4", False),
    ],
)
def test_prose_wraps_and_columns_do_not(text: str, prose: bool, extension: Any) -> None:
    assert extension("prose").is_prose(text) == prose


def test_paragraphs_are_set_anew(extension: Any) -> None:
    is_flowing = extension("prose").is_flowing
    assert is_flowing("word " * 18 + "\n" + "word " * 16 + "\nend.") and not is_flowing("one line")
    assert not is_flowing("5 of 11 rows\nleft out: 3")
