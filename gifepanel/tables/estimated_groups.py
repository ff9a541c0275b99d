"""What tables and pages say of groups that were estimated: whether standard errors allow for it, and how much it is."""

from __future__ import annotations

from typing import Any

__all__ = ["MUCH", "TOO_MUCH", "note_on_information", "percent", "warning_of_information"]

MUCH, TOO_MUCH = 0.5, 0.8


def note_on_information(res: Any) -> str:
    """The note of a summary on results whose standard errors allow for estimated groups."""
    found = res.missing_information
    unclear, n = found.n_unclear, res.n_entities
    who = (
        f"{unclear} of {n} entities {'is' if unclear == 1 else 'are'} unclear (own group less than 95% probable)"
        if unclear
        else "every entity has a group with a probability of .95 or more"
    )
    effect = f", design effect {found.design_effect:.1f}" if found.design_effect >= 1.05 else ""
    note = (
        f"Standard errors allow for estimated groups: up to {percent(found.share)} of the information about slopes by "
        f"group is missing since nobody knows who belongs where (Louis 1982{effect}); {who}, see .membership."
    )
    warning = warning_of_information(found, soft=res.is_soft)
    return f"{note} {warning}" if warning else note


def warning_of_information(found: Any, *, soft: bool = False) -> str:
    """What more than half, and more than four fifths of missing information mean; nothing below."""
    if found.share > TOO_MUCH:
        other = "" if soft else ', groups="soft",'
        return (
            "The groups are not separated enough for slopes by group to mean much, and intervals may still be too "
            f"short: take fewer groups{other} or one slope for all (InteractiveFE)."
        )
    if found.share > MUCH:
        return "That is more than half: who belongs where is uncertain enough for intervals to be rough."
    return ""


def percent(share: float) -> str:
    """ "41%", "<1%"."""
    return "<1%" if 0 < share < 0.005 else f"{100 * share:.0f}%"
