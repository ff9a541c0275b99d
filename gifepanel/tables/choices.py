"""What is said of numbers of factors and groups that were chosen from the data."""

from __future__ import annotations

from typing import Any

from gifepanel.tables.summary import joined

__all__ = ["notes_on_choice", "notes_on_edges", "rule_words"]

_SHORT, _REMEMBERED, _TOO_MUCH = 20, 0.25, 0.9


def rule_words(rule: str) -> str:
    """The name of a rule as it is printed."""
    return "edge test" if rule == "edge" else rule.upper()


def notes_on_choice(selection: Any) -> list[str]:
    """Choices at the end of a range, groups too small to count, rules that differ, and what that means for slopes."""
    return [
        *notes_on_edges(selection),
        *_notes_on_small_groups(selection),
        *_notes_on_rules(selection),
        *_notes_on_dependence(selection),
        *_notes_on_reliability(selection),
    ]


def notes_on_edges(selection: Any) -> list[str]:
    """What to say of a choice at the end of the range, which may be the limit of the range and no optimum."""
    out = []
    for what, table, chosen, least in (
        ("factors", selection.factors, selection.n_factors, 0),
        ("groups", selection.groups, selection.n_groups, 1),
    ):
        if len(table) < 2:
            continue
        if chosen == table.index[-1]:
            out.append(f"The number of {what}, {chosen}, is the largest of those tried: {_beyond(selection, what)}")
        elif chosen == table.index[0] > least:
            out.append(f"The number of {what}, {chosen}, is the smallest of those tried: nothing is known of fewer.")
    return out


def _beyond(selection: Any, what: str) -> str:
    if what == "factors" and selection.rule == "edge":
        return (
            "the edge test finds no more than these."
            if selection.edge_accepted
            else "the edge test finds more than these."
        )
    return "the criterion may go on falling; it says nothing of more."


def _notes_on_small_groups(selection: Any) -> list[str]:
    """Numbers of groups left out of the choice."""
    if not len(selection.groups) or selection.groups["admissible"].all():
        return []
    small = [str(k) for k in selection.groups.index[~selection.groups["admissible"]]]
    found = f"a group of fewer than {selection.smallest} entities (min_group_share)"
    if not selection.groups["admissible"].any():
        return [f"Every number of groups tried has {found}; the choice is among them all the same."]
    verb, left = ("has", "was") if len(small) == 1 else ("have", "were")
    return [f"K = {joined(small)} {verb} {found} and {left} left out of the choice."]


def _notes_on_rules(selection: Any) -> list[str]:
    """Which way other rules go."""
    chosen = selection.n_factors
    others = {name: int(n) for name, n in selection.rules.items() if name != selection.rule}
    more = {name: n for name, n in others.items() if n > chosen}
    fewer = {name: n for name, n in others.items() if n < chosen}
    if not more and not fewer:
        return []
    ways = [f"{word} by {_by(said)}" for word, said in (("more", more), ("fewer", fewer)) if said]
    low, high = min([chosen, *others.values()]), max([chosen, *others.values()])
    note = (
        f"Rules differ on the number of factors: {'; '.join(ways)}. Too many factors leave slopes consistent and cost "
        f"precision, too few bias them (Moon & Weidner 2015): see whether slopes move from {low} to {high} factors."
    )
    memory = selection.memory
    if memory >= _REMEMBERED and {"ic1", "ic2"} & set(more):
        note += f" IC1 and IC2 take errors that remember (autocorrelation {memory:.2f}) for factors."
    return [note]


def _notes_on_dependence(selection: Any) -> list[str]:
    """What the criterion for independent errors takes, where that is another number of groups."""
    table = selection.groups
    if not len(table):
        return []
    allowed = table[table["admissible"]] if table["admissible"].any() else table
    other = int(allowed["ic_independent"].idxmin())
    if other == selection.n_groups:
        return []
    return [
        f"Without the design effect in its penalty ({selection.design_effect:.2f}) the criterion takes {other} groups: "
        "dependence within entities makes their slopes differ by chance."
    ]


def _by(said: dict[str, int]) -> str:
    """ "IC1, IC2 (8), ED (6)"."""
    numbers = dict.fromkeys(said.values())
    parts = []
    for n in numbers:
        names = [rule_words(name) for name, own in said.items() if own == n]
        parts.append(f"{', '.join(names)} ({n})")
    return ", ".join(parts)


def _notes_on_reliability(selection: Any) -> list[str]:
    """Where no rule can be relied on."""
    if not len(selection.factors):
        return []
    out = []
    if selection.periods <= _SHORT:
        out.append(f"{selection.periods:.3g} periods of an entity")
    if selection.memory >= _TOO_MUCH:
        out.append(f"an autocorrelation of the errors of {selection.memory:.2f}")
    if not out:
        return []
    return [f"With {joined(out)} no rule for the number of factors is reliable: compare slopes under several numbers."]
