"""What a report says under its tables, by how much a reader needs it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gifepanel.tables.blocks import Notes

__all__ = ["Remarks"]


@dataclass(frozen=True)
class Remarks:
    """Sentences.

    Attributes
    ----------
    warnings : tuple of str
        Where a number may mislead: in every report, however short.
    notes : tuple of str
        What a number is and what it leaves out.
    details : tuple of str
        How it came about, and what to ask next: in full reports.
    """

    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    details: tuple[str, ...] = ()

    def __add__(self, other: Remarks) -> Remarks:
        return Remarks(self.warnings + other.warnings, self.notes + other.notes, self.details + other.details)

    @classmethod
    def of(cls, warnings: Iterable[str] = (), notes: Iterable[str] = (), details: Iterable[str] = ()) -> Remarks:
        """From any iterables."""
        return cls(tuple(warnings), tuple(notes), tuple(details))

    def shown(self, *, slim: bool, full: bool, pointer: str = "") -> tuple[Notes, ...]:
        """Those of a short, a usual or a full report; no block where there are none."""
        lines = self.warnings + (() if slim else self.notes) + (self.details if full and not slim else ())
        return (Notes(lines, pointer=pointer),) if lines or pointer else ()
