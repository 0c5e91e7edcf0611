"""Which of several probed networks a run should take: a rule on what was measured."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from saccade.evaluation.comparison import paired_gain
from saccade.evaluation.difference import Difference, corrected
from saccade.training.probe import Probe

AS_QUICK = 1.25
"""Costs up to this ratio count as equal: less is noise on a machine that has other work."""
WORTH_SECONDS = 2.0
"""And so do costs that differ by no more: for this nobody would take the worse network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """A network and what is known of it."""

    name: str
    probe: Probe
    cost_seconds: float  # of asking it about every picture of the run
    num_parameters: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The place of the network to take, and for each a phrase that says why, or why not."""

    place: int
    whys: tuple[str, ...]
    behind: tuple[Difference | None, ...]  # in loss, the best one; None = it is that one


def choose(probed: Sequence[Probed], *, groups: Sequence[str] | None = None) -> Choice:
    """Return the choice among networks that were probed on the same pictures.

    The best is the one with the highest score (then the least loss, then the fewest parameters).
    All those that are not surely worse than it stay in: a network is surely worse if the losses
    of the same pictures say so with 90 % certainty (`paired_gain`). Of these the least costly is
    taken; where others cost hardly more (`AS_QUICK`, `WORTH_SECONDS`), the best of them.

    Args:
        probed: one or more.
        groups: of each picture; "" = alone. None = each is.

    Raises:
        ValueError: none was probed.
    """
    order = sorted(range(len(probed)), key=lambda place: _rank(probed[place]))
    if not order:
        raise ValueError("none was probed")
    best = order[0]
    least_N = probed[best].probe.losses_N
    gains = [paired_gain(one.probe.losses_N, least_N, groups=groups) for one in probed]
    stay = [place for place in order if place == best or not gains[place].helps]
    least = min(probed[place].cost_seconds for place in stay)
    enough = max(AS_QUICK * least, least + WORTH_SECONDS)
    winner = next(place for place in stay if probed[place].cost_seconds <= enough)
    whys = []
    for place, one in enumerate(probed):
        if place == winner:
            whys.append(_why(one, probed[best], others=[probed[p] for p in stay if p != winner]))
        elif place not in stay:
            gain = gains[place]
            whys.append(
                f"surely worse than {probed[best].name}: loss of the same pictures "
                f"{gain.value:+.3f}, one-sided {_p_words(gain.p)}"
            )
        elif one.cost_seconds > enough:
            whys.append(f"not surely better, and slower: {_compared(one, probed[winner])}")
        else:
            whys.append("not surely worse, but no quicker to speak of")
    return Choice(place=winner, whys=tuple(whys), behind=_behind(probed, best, groups))


def _behind(
    probed: Sequence[Probed], best: int, groups: Sequence[str] | None
) -> tuple[Difference | None, ...]:
    """Return how much larger each mean loss is than the best one's; p as one of several."""
    others = [place for place in range(len(probed)) if place != best]
    told = corrected([_difference(probed[best], probed[place], groups) for place in others])
    of_place: dict[int, Difference] = dict(zip(others, told, strict=True))
    return tuple(of_place.get(place) for place in range(len(probed)))


def _difference(best: Probed, other: Probed, groups: Sequence[str] | None) -> Difference:
    gain = paired_gain(other.probe.losses_N, best.probe.losses_N, groups=groups, sure=0.975)
    return Difference(
        metric="loss",
        names=(best.name, other.name),
        value=gain.value,
        low=gain.low,
        high=gain.high,
        n=gain.n,
        p=gain.two_sided_p,
        mid_p=gain.two_sided_p,
        method="paired t",
    )


def _rank(one: Probed) -> tuple[float, float, int]:
    return -one.probe.score.value, float(np.mean(one.probe.losses_N)), one.num_parameters


def _why(winner: Probed, best: Probed, *, others: Sequence[Probed]) -> str:
    if winner is not best:
        return f"not surely worse than {best.name}, and quicker: {_compared(winner, best)}"
    if not others:
        return "the best, and surely so"
    return "the best, and none that may be as good is much quicker"


def _p_words(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def _compared(one: Probed, other: Probed) -> str:
    return f"{one.cost_seconds:.1f} s for all pictures instead of {other.cost_seconds:.1f} s"
