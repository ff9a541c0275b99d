"""Who belongs to which group: probabilities, margins, confidence sets."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from gifepanel.exceptions import SpecificationError
from gifepanel.inference.estimated_groups import missing_information
from gifepanel.inference.membership import candidates, excess
from gifepanel.inference.membership_sets import membership_sets, variances_of_entities
from gifepanel.inference.missing_information import CLEAR, MissingInformation
from gifepanel.inference.soft_groups import soft_groups

if TYPE_CHECKING:
    from gifepanel.inference.covariance import CovarianceResult
    from gifepanel.inference.estimate import FactorEstimate
    from gifepanel.inference.soft_groups import SoftGroups
    from gifepanel.results.inputs import Inference, Sample

    class _Parent:
        model: Any
        sample: Sample
        df_resid: float
        n_groups: int
        n_times: int
        n_factors: int
        _covariance: CovarianceResult
        _estimate: FactorEstimate
        _inference: Inference | None
        _entities: pd.Index

        def _without_covariance(self) -> Self: ...

else:
    _Parent = object

__all__ = ["Membership"]

Array = np.ndarray[Any, np.dtype[np.float64]]
_OF_A_COVARIANCE = ("membership", "_missing", "unit_bse")


class Membership(_Parent):
    """Mixed in before the results of models with factors."""

    _soft: SoftGroups | None = None
    _common: tuple[int, ...]
    _unit_ssr: Array

    @property
    def is_soft(self) -> bool:
        """Whether slopes are those of a mixture, in which every entity counts in every group."""
        return self._soft is not None

    @property
    def group_labels(self) -> list[int]:
        """1..K."""
        return list(range(1, self.n_groups + 1))

    @cached_property
    def groups(self) -> pd.Series:
        """Group of each entity, 1..K; of soft groups the most probable."""
        return pd.Series(self._estimate.groups + 1, index=self._entities, name="group")

    @cached_property
    def group_sizes(self) -> pd.Series:
        """Number of entities in each group."""
        counts = np.bincount(self._estimate.groups, minlength=self.n_groups)
        return pd.Series(counts, index=pd.Index(self.group_labels, name="group"), name="entities")

    @cached_property
    def membership(self) -> pd.DataFrame:
        """Where each entity belongs, and how clearly, at the slopes before bias correction.

        Columns: ``group``; ``posterior_k``, the probability of group k given the data, slopes, factors and normal
        errors, shares of the groups as weights beforehand, tempered by the design effect of the standard errors;
        ``clear``, whether that of the own group is .95 or more; ``candidates``, the most probable groups that together
        have a probability of .95, most probable first (sets that hold the true group in 95 % of samples are those of
        :meth:`confidence_sets`); ``distance_k``, root mean squared residual, weighted as the fit is, under the slopes
        of group k at the common factors, the entity's own effect and loadings re-estimated; ``runner_up``, the best
        fitting of the other groups; ``margin``, by how much its sum of squares is larger, in units of the error
        variance (a log-likelihood ratio times two). In a panel with holes also ``determined``: whether the entity has
        periods enough for slopes of its own, without which it says little of its group.
        """
        ssr, own, root = self._unit_ssr, self._estimate.groups, self._estimate.root
        per_entity = self.n_times if root is None else (root**2).sum(axis=1)  # sums of weights, or of cells
        rows = np.arange(len(own))
        columns: dict[str, Any] = {"group": own + 1}
        missing = self._missing
        if missing is not None:
            tau = missing.posterior
            columns |= {f"posterior_{k + 1}": tau[:, k] for k in range(self.n_groups)}
            columns["clear"] = missing.clear
            columns["candidates"] = [tuple(k + 1 for k in some) for some in candidates(tau, CLEAR)]
        for k in range(self.n_groups):
            columns[f"distance_{k + 1}"] = np.sqrt(np.maximum(ssr[:, k], 0.0) / per_entity)
        if self.n_groups > 1:
            variance = float(ssr[rows, own].sum() / self.df_resid)
            worse = excess(ssr, own, variance)
            worse[rows, own] = np.inf
            runner = worse.argmin(axis=1)
            columns["runner_up"] = runner + 1
            columns["margin"] = worse[rows, runner]
            if self.sample.has_holes:
                columns["determined"] = self.model.design.index.counts > self._own_coefficients
        return pd.DataFrame(columns, index=self._entities)

    def confidence_sets(self, level: float = 0.95, *, joint: bool = True) -> pd.DataFrame:
        """Which groups each entity may belong to: sets that hold the true groups with a given probability.

        A group is in the set of an entity unless another fits it significantly better: the moment inequalities of
        Dzemski & Okui (2024), factors and effects projected out, at the slopes and variance of the mixture that
        ``groups="soft"`` fits, variances with what is not known about the slopes, with serial correlation of the
        errors, and those of single entities where they differ by more than chance. The entity's own group is always in.

        Parameters
        ----------
        level : float
        joint : bool
            Whether all sets together hold the true groups with this probability, or each by itself.

        Returns
        -------
        DataFrame of bool, entity by group

        Raises
        ------
        SpecificationError
            For levels outside of 0 to 1.
        DataError
            After ``remove_data``.

        References
        ----------
        Dzemski, A. and R. Okui (2024). Confidence set for group membership. *Quantitative Economics* 15, 245-277.

        Examples
        --------
        >>> import gifepanel as gife
        >>> panel = gife.datasets.simulate("S", n_entities=40, n_times=30, random_state=1)
        >>> model = gife.GroupedIFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_groups=3, n_factors=2)
        >>> res = model.fit()
        >>> res.confidence_sets().sum(axis=1).value_counts().tolist()
        [31, 9]
        """
        _check_options(level, joint)
        final, missing = self._estimate, self._missing
        if missing is None or self._inference is None:
            inside = np.ones((len(final.groups), 1), dtype=bool)
        else:
            estimate, cov = self._inference.estimate, self._covariance.cov
            mixture = self._soft or soft_groups(estimate, design_effect=missing.design_effect)
            at_mixture = replace(estimate, theta=mixture.theta, groups=final.groups)
            honest = cov if self._covariance.missing is not None else missing.inflated(cov)
            variances = variances_of_entities(estimate, mixture)
            inside = membership_sets(at_mixture, honest, float(level), joint=bool(joint), variances=variances)
        return pd.DataFrame(inside, index=self._entities, columns=pd.Index(self.group_labels, name="group"))

    @cached_property
    def _missing(self) -> MissingInformation | None:
        """Where entities belong, also where standard errors take that as known; None for one group."""
        if self._covariance.missing is not None or self.n_groups == 1:
            return self._covariance.missing
        _ = self._estimate  # which raises where the data are gone
        assert self._inference is not None
        estimate = self._inference.estimate
        independent = estimate.ssr / estimate.df.residual * estimate.triangle.inverse
        return missing_information(estimate, self._covariance.cov, independent)

    @property
    def _own_coefficients(self) -> int:
        """Number of coefficients of an entity with slopes of its own."""
        slopes = len(self.sample.regressors) - len(self._common)
        return slopes + self.n_factors + len(self.model._parts.unit_names)

    def _without_covariance(self) -> Self:
        """A copy, for another covariance: probabilities are tempered by its design effect."""
        other = super()._without_covariance()
        for name in _OF_A_COVARIANCE:
            other.__dict__.pop(name, None)
        return other


def _check_options(level: Any, joint: Any) -> None:
    if isinstance(level, bool) or not isinstance(level, (int, float, np.number)) or not 0 < level < 1:
        raise SpecificationError(f"level is {level!r}.", "It must be between 0 and 1.", "level=0.95")
    if not isinstance(joint, (bool, np.bool_)):
        raise SpecificationError(f"joint is {joint!r}.", "It must be True or False.", "joint=True")
