"""What can be said of cross-fitting, and that it means nothing without a learner."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from gifepanel.exceptions import SpecificationError
from gifepanel.parallel import Progress

__all__ = ["CrossFitOptions"]


@dataclass(frozen=True)
class CrossFitOptions:
    """How to cross-fit; see :meth:`gifepanel.PartialledOLS.fit`."""

    n_folds: int = 5
    n_repeats: int = 1
    folds: Any = None
    unseen: str = "raise"
    score: str = "partialling out"
    treatments: str = "jointly"
    aggregation: str = "median"
    random_state: Any = 0
    n_jobs: int | None = None
    progress: Progress = None
    checkpoint: Any = None

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Of the options, in their order."""
        return tuple(one.name for one in fields(cls))

    def refuse_without_learner(self) -> None:
        """Raise for options that are not as they are when nothing is said."""
        own = {one.name: (getattr(self, one.name), one.default) for one in fields(self)}
        given = [name for name, (value, usual) in own.items() if not isinstance(value, type(usual)) or value != usual]
        if given:
            raise SpecificationError(
                f"fit got {', '.join(given)} and the model has no learner.",
                "These options are for cross-fitting.",
                'PartialledOLS.from_formula(formula, data, partial="z1 + z2", learner=...)',
            )
