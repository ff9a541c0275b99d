"""The documentation builds without a warning: ``make test`` asks for it, beside the other tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.skipif("GIFEPANEL_DOCS" not in os.environ, reason="`make test` and `make docs` build the documentation")
def test_the_site_builds_without_a_warning() -> None:
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "docs", "docs/_build/html"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_printed_runs_together_where_it_is_a_paragraph_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sphinx")
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "_ext"))
    from prose import has_sentences, is_flowing, is_prose, keep_options

    paragraph = "a message of an error that goes on until there is no more room in the line, and\nthen on the next"
    assert is_prose(paragraph) and is_flowing(paragraph)
    for rows in (
        "<MissingInformation: share 0.53, design effect 1.00, 13 of 60 entities unclear>\n92% of them",
        "Pre-treatment fit: 0.4196, p = 0.8279 [F(5, 15)]. H0: no effects in event times -5 to -1.\nNext",
        r"$\beta_{p}$ & $-$0.4764 & 0.0265 & 0.000 & $-$0.3381 & 0.0355 & 0.000 & 0.1111 \\" + "\nb & 2",
    ):
        assert not is_flowing(rows), rows
    table = "test      statistic   pvalue\nmean          0.000      NaN\n"
    assert has_sentences(table + "a sentence of many words " * 5)
    assert not has_sentences(table) and not has_sentences("a" + " " * 90 + "b")
    page = {"body": '<div class="highlight-bash x"><pre>fit --cov-type a-b --x=1</pre></div><p>a --b</p>'}
    keep_options(None, "", "", page, None)
    assert page["body"].count("shell-option") == 2 and ">--cov-type</span>" in page["body"]
    assert "a --b" in page["body"]
