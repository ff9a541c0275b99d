"""What a model says of itself before it is fitted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gifepanel.statsmodels_bridge.shown_names import MODEL_NAMES, public_names
from gifepanel.tables.blocks import Pairs
from gifepanel.tables.printed import Printed
from gifepanel.tables.text_width import page_width, plain, wrap

__all__ = ["DescribedFactorModel", "DescribedLinearModel", "DescribedModel"]


class _Description(Printed):
    def __init__(self, model: str, pairs: list[tuple[str, str]], note: str) -> None:
        self.title, self._pairs = f"{model}: {note}", pairs

    def _content(self, fmt: str) -> tuple[str, Any]:
        return self.title, (Pairs(tuple(self._pairs), ()),)

    def as_text(self, width: int | None = None) -> str:
        """A line for each fact, labels in a column of their own."""
        columns = page_width() if width is None else width
        lines = wrap(self.title, columns)
        for label, value in self._pairs:
            first, *rest = wrap(plain(value), columns - 18)
            lines += [f"  {label:<16}{first}", *(" " * 18 + part for part in rest)]
        return "\n".join(lines)


class DescribedModel:
    """Mixed in before statsmodels' class and whatever knows if it is fitted: text, HTML and a short ``dir()``."""

    design: Any
    formula: str | None

    if TYPE_CHECKING:

        @property
        def _is_fitted(self) -> bool: ...

    def _facts(self) -> list[tuple[str, str]]:
        """Labels and values that belong to the class."""
        raise NotImplementedError

    def _description(self) -> _Description:
        design = self.design
        if design is None:
            return _Description(type(self).__name__, [], "its data are gone")
        if self.formula:
            what = [("Formula", self.formula)]
        else:
            what = [("Outcome", str(design.endog_name)), ("Regressors", ", ".join(map(str, design.exog_names)))]
        note = "the model of a fit" if self._is_fitted else "not fitted yet; call .fit()"
        return _Description(type(self).__name__, [*what, *self._facts()], note)

    def __repr__(self) -> str:
        return self._description().as_text()

    def _repr_html_(self) -> str:
        return self._description().as_html()

    def __dir__(self) -> list[str]:
        return public_names(self, MODEL_NAMES)


class DescribedFactorModel(DescribedModel):
    """A model with factors, and groups where it has them."""

    @property
    def _weights_words(self) -> str:
        """What weights are called, nothing where there are none."""
        model: Any = self
        if model._weights_by_entity:
            return "inverse entity variance"
        design = model.design
        return "" if design.weights is None else str(design.weights_name or "given by row")

    def _facts(self) -> list[tuple[str, str]]:
        model: Any = self
        index = model.design.index
        factors, groups = getattr(model, "_candidates", None) or (model.n_factors, model.n_groups)
        panel = f"{index.n_entities} entities ({index.entity_name}) x {index.n_times} periods ({index.time_name})"
        share = 100 * index.nobs / (index.n_entities * index.n_times)
        facts = [
            ("Panel", panel),
            *([] if index.is_balanced else [("Cells observed", f"{share:.1f}%")]),
            ("Absorbed", ", ".join(model.design.absorbed) or "none"),
            ("Factors", _count_words(factors)),
        ]
        if model._weights_words:
            facts.append(("Weights", model._weights_words))
        if model._has_groups:
            facts.append(("Groups", _count_words(groups)))
        if model._common:
            facts.append(("Common slopes", ", ".join(model._names[j] for j in model._common)))
        if model.dropped:
            facts.append(("Dropped", ", ".join(map(str, model.dropped))))
        return facts


def _count_words(count: Any) -> str:
    """A number, or the candidates among which ``fit`` chooses."""
    return str(count) if isinstance(count, int) else f"to be chosen from {', '.join(map(str, count))}"


class DescribedLinearModel(DescribedModel):
    """Partialled-out least squares."""

    def _facts(self) -> list[tuple[str, str]]:
        model: Any = self
        design = model.design
        controls = [str(name) for name in design.control_names if name != "Intercept"]
        facts = [("Observations", f"{design.nobs}"), ("Absorbed", ", ".join(design.absorbed) or "none")]
        if controls:
            facts.append(("Controls", ", ".join(controls)))
        if model.learner is not None:
            learners = model.learner.values() if isinstance(model.learner, Mapping) else [model.learner]
            facts.append(("Learner", ", ".join(dict.fromkeys(type(one).__name__ for one in learners))))
        if design.weights is not None:
            facts.append(("Weights", "yes"))
        if model.n_singletons:
            facts.append(("Dropped", f"{model.n_singletons} rows, each alone in a level of an effect"))
        return facts
