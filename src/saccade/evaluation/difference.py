"""How much better one is than another on the same pictures, and what that means in words."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import ndtri  # not scipy.stats, which takes two seconds to import

from saccade.evaluation.digits import change_with_interval, decimals, is_share, signed
from saccade.evaluation.significance import SURE, holm
from saccade.runtime.store import encode_name

_LOWER_IS_BETTER = frozenset({"log_loss", "log_loss_macro", "hamming_loss", "mae", "rmse"})
_NEGATIVE = "negative_"
POWER = 0.8
FEWEST = 10  # pictures, about, on which two must disagree; with 2 of 30 power was 0.57, not 0.8


def lower_is_better(metric: str) -> bool:
    """Return whether less of a metric is better, as it is shown: an error or a loss.

    >>> lower_is_better("mae"), lower_is_better("accuracy"), lower_is_better("negative_rmse")
    (True, False, True)
    """
    return metric.removeprefix(_NEGATIVE) in _LOWER_IS_BETTER


def readable_score(value: float, name: str) -> float:
    """Return a score as it is shown: an error that is recorded negative, as an error.

    While a network learns, more of a score is always better; so files hold errors as negative
    numbers, and their names say it.

    >>> readable_score(-3.2, "negative_rmse"), readable_score(3.2, "mae")
    (3.2, 3.2)
    """
    return -value if name.startswith(_NEGATIVE) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A metric of the second minus that of the first, on the same pictures.

    `value` is NaN where the metric is not defined, and `method` says why. `p` is two-sided: how
    likely a difference at least as large would be where there is none. `p_corrected` is p as one
    of `num_compared` comparisons.
    """

    metric: str
    names: tuple[str, str]
    value: float
    low: float  # 95 % interval
    high: float
    n: int  # pictures
    p: float
    mid_p: float  # of McNemar's test, which the interval agrees with; else p
    method: str  # "McNemar exact", "paired bootstrap of 40 groups", …
    more: int | None = None  # pictures that the second has right beyond those of the first
    same_answers: bool = False  # to every picture, with the same scores
    p_corrected: float = math.nan
    num_compared: int = 1

    @property
    def beyond_chance(self) -> bool:
        """Whether the corrected p is below 5 %."""
        return self.final_p < SURE

    @property
    def final_p(self) -> float:
        """p, corrected where it is one of several."""
        return self.p if math.isnan(self.p_corrected) else self.p_corrected

    @property
    def detectable(self) -> float:
        """The smallest true difference that such a comparison sees in 4 of 5 times; NaN if unknown.

        z(1 - α / 2) + z(0.8) standard errors, α = 0.05 over the number of comparisons; the standard
        error is that of the interval, so it is of pictures on which the two disagree as often as
        here (R. J. Connor, Biometrics 43, 1987). Unknown where the two hardly disagree (`FEWEST`),
        for there the exact test sees much less, and where it would be more than there can be.
        """
        spread = (self.high - self.low) / (2 * ndtri(1 - SURE / 2))
        asked = ndtri(1 - SURE / (2 * self.num_compared)) + ndtri(POWER)
        if self.more is not None and (spread * self.n) ** 2 < FEWEST:
            return math.nan
        size = float(spread * asked)
        return size if size < 1 or not is_share(self.metric) else math.nan

    @property
    def second_is_better(self) -> bool:
        """Whether the second has the better value, be it by chance."""
        return self.value < 0 if lower_is_better(self.metric) else self.value > 0

    @property
    def sentence(self) -> str:
        """What it means, in plain words."""
        (first, second), metric = self.names, encode_name(self.metric)
        if math.isnan(self.value):
            return f"{second} and {first} cannot be compared by {metric}: {self.method}."
        pictures = (
            f"On the same {self.n} pictures" if self.n != 1 else "On one and the same picture"
        )
        share = is_share(self.metric)
        if math.isnan(self.low):
            return f"{pictures} {self._said()}: {signed(self.value, share=share)} ({self.method})."
        numbers = change_with_interval(self.value, self.low, self.high, share=share)
        text = f"{pictures} {self._said()}: {numbers}, {p_text(self.p)} ({self.method})"
        if self.num_compared > 1:
            text += f"; corrected for {self.num_compared} comparisons {p_text(self.final_p)}"
        return f"{text}: {self._verdict()}."

    @property
    def reach(self) -> str:
        """What no verdict leaves open, in plain words; "" where there is one."""
        if self.same_answers:
            return "They are equal: both give the same answers, picture by picture."
        if self.beyond_chance or math.isnan(self.low):
            return ""
        if not self.detectable > 0:
            return "That does not show that they are equal."
        size = decimals(self.detectable, share=is_share(self.metric))
        return (
            f"That does not show that they are equal: a true difference of {size} would be seen in "
            "about 4 of 5 such comparisons, a smaller one less often."
        )

    def _verdict(self) -> str:
        """Return whether it may be chance, and why where the interval seems to say otherwise."""
        if self.beyond_chance:
            return "beyond chance"
        if self.low <= 0 <= self.high:
            return "not beyond chance"
        if self.p < SURE:
            return (
                "not beyond chance, though this interval lies beside 0, for of "
                f"{self.num_compared} comparisons one is easily so far apart"
            )
        return "not beyond chance, though the interval just lies beside 0: the exact test decides"

    def _said(self) -> str:
        (first, second), metric = self.names, encode_name(self.metric)
        if self.more is None:
            if self.value == 0:
                return f"{second} and {first} have the same {metric}"
            better = "better" if self.second_is_better else "worse"
            more = "higher" if self.value > 0 else "lower"
            return f"the {metric} of {second} is {better} ({more}) than that of {first}"
        number = f"{abs(self.more)} {'more' if self.more > 0 else 'fewer'}"
        if self.metric == "accuracy":
            if not self.more:
                return f"{second} names as many rightly as {first}"
            return f"{second} names {number} rightly than {first}"
        if not self.more:
            return f"{second} has as many right as {first} ({metric})"
        return f"{second} has {number} right than {first} ({metric})"


def p_text(p: float) -> str:
    """Return a p as it is read.

    >>> p_text(0.0312), p_text(0.00001), p_text(1.0)
    ('p = 0.031', 'p < 0.0001', 'p = 1')
    """
    return "p < 0.0001" if p < 0.0001 else f"p = {p:.2g}"


def corrected(differences: Sequence[Difference]) -> tuple[Difference, ...]:
    """Return differences that were asked about together, with p corrected by Holm's rule.

    Those that are not defined are not counted.
    """
    known = [own for own in differences if not math.isnan(own.p)]
    after = dict(zip(map(id, known), holm([own.p for own in known]), strict=True))
    return tuple(
        dataclasses.replace(own, p_corrected=after[id(own)], num_compared=len(known))
        if id(own) in after
        else own
        for own in differences
    )
