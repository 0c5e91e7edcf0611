"""The page's figures: which curves are drawn from which facts, and what they are called."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from saccade.reporting.charts import (
    Axis,
    Series,
    around,
    dumbbells,
    histogram,
    line_chart,
    scatter,
)
from saccade.reporting.facts import Facts, LearningFacts
from saccade.reporting.svg import Svg
from saccade.reporting.wording import decimals, short

MAX_STAGES = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A drawing with its title and the sentence below it."""

    title: str
    caption: str
    svg: Svg


def learning_figures(facts: Facts) -> tuple[Figure, ...]:
    """Return the curves of the epochs and of the penalty, those for which there are numbers."""
    learning, sizes = facts.learning, facts.split.sizes
    figures: list[Figure | None] = []
    if len(learning.epochs) > 1:
        figures = [_losses(learning, sizes), _scores(learning, sizes), _rates(learning)]
    if learning.head and len(learning.head.candidates) > 1:
        figures.append(_penalties(learning, sizes))
    if learning.gradients:
        figures.append(_gradients(learning))
    return tuple(figure for figure in figures if figure)


def regression_figures(facts: Facts) -> tuple[Figure, ...]:
    """Return prediction against truth, the residuals, and how often each residual occurs."""
    truth, seen = facts.results.truth, facts.results.prediction
    if truth is None or seen is None or not len(truth):
        return ()
    low, high = around([*truth.tolist(), *seen.tolist()])
    n = f"n = {len(truth):,} {facts.results.part} pictures"
    both = scatter(
        truth,
        seen,
        x=Axis(title="truth", low=low, high=high),
        y=Axis(title="prediction", low=low, high=high),
        title=f"Prediction against truth, {n}",
    )
    residual = seen - truth
    bottom, top = around([*residual.tolist(), 0.0])
    left, right = around(truth.tolist())
    along = scatter(
        truth,
        residual,
        x=Axis(title="truth", low=left, high=right),
        y=Axis(title="prediction − truth", low=bottom, high=top),
        title=f"Residuals along the truth, {n}",
        line_at="zero",
    )
    spread = histogram(residual, x_title="prediction − truth", title=f"Residuals, {n}")
    mean = short(float(residual.mean()))
    return (
        Figure(
            title="Prediction against truth",
            svg=both,
            caption=f"One dot a picture; on the line the answer is exact. {n}.",
        ),
        Figure(
            title="Residuals along the truth",
            svg=along,
            caption="A slope means that small and large values are drawn to the middle.",
        ),
        Figure(
            title="How often each residual occurs",
            svg=spread,
            caption=f"Mean residual {mean}; away from 0 the answers are off to one side. {n}.",
        ),
    )


def _epoch_axis(learning: LearningFacts) -> Axis:
    numbers = [e.number for e in learning.epochs]
    return Axis(title="epoch", low=min(numbers), high=max(numbers), whole=True)


def _best(learning: LearningFacts) -> str:
    best = [e.number for e in learning.epochs if e.best]
    return f"{best[-1]}:kept: epoch {best[-1]}" if best else ""


def _losses(learning: LearningFacts, sizes: Mapping[str, int]) -> Figure | None:
    x = [e.number for e in learning.epochs]
    train = [e.train_loss for e in learning.epochs]
    validation = [e.validation_loss for e in learning.epochs]
    if not any(map(math.isfinite, [*train, *validation])):
        return None
    low, high = around([*train, *validation])
    series = [
        Series(name="train", x=x, y=train, kind="b"),
        Series(name="validation", x=x, y=validation),
    ]
    series = [one for one in series if any(map(math.isfinite, one.y))]
    svg = line_chart(
        series,
        _epoch_axis(learning),
        Axis(title="loss", low=max(low, 0), high=high),
        title=f"Loss per epoch over {len(x)} epochs, {' and '.join(s.name for s in series)}",
        mark=_best(learning),
    )
    return Figure(
        title="Loss per epoch",
        svg=svg,
        caption=f"Where validation rises while train falls, it learns by heart. "
        f"{_sizes(sizes, 'train', 'validation')}",
    )


def _scores(learning: LearningFacts, sizes: Mapping[str, int]) -> Figure | None:
    x = [e.number for e in learning.epochs]
    y = [e.validation_score for e in learning.epochs]
    if not any(map(math.isfinite, y)):
        return None
    low, high = around(y)
    name = learning.score_name or "score"
    svg = line_chart(
        [Series(name=name, x=x, y=y)],
        _epoch_axis(learning),
        Axis(title=f"validation {name}", low=low, high=high),
        title=f"Validation {name} per epoch",
        mark=_best(learning),
    )
    best = max((v for v in y if math.isfinite(v)), default=math.nan)
    return Figure(
        title=f"Validation {name} per epoch",
        svg=svg,
        caption=f"Highest: {decimals(best)}. The epoch with the best score is kept. "
        f"{_sizes(sizes, 'validation')}",
    )


def _rates(learning: LearningFacts) -> Figure | None:
    x = [e.number for e in learning.epochs]
    y = [e.learning_rate for e in learning.epochs]
    if not any(map(math.isfinite, y)):
        return None
    _, high = around(y)
    svg = line_chart(
        [Series(name="learning rate", x=x, y=y, kind="b")],
        _epoch_axis(learning),
        Axis(title="learning rate", low=0, high=high),
        title="Learning rate per epoch",
    )
    return Figure(
        title="Learning rate per epoch",
        svg=svg,
        caption="The head's rate at the end of each epoch.",
    )


def _penalties(learning: LearningFacts, sizes: Mapping[str, int]) -> Figure | None:
    head = learning.head
    if head is None:
        return None
    pairs = [(p, s) for p, s in head.candidates if p > 0 and math.isfinite(s)]
    if len(pairs) < 2:
        return None
    x, y = [p for p, _ in pairs], [s for _, s in pairs]
    low, high = around(y)
    name = "loss" if head.measured == "loss" else learning.score_name or "score"
    svg = line_chart(
        [Series(name=name, x=x, y=y)],
        Axis(title="penalty (logarithmic)", low=min(x), high=max(x), log=True),
        Axis(title=f"{name}, cross-validated in train", low=low, high=high),
        title=f"Cross-validated {name} for {len(pairs)} penalties",
        mark=f"{head.penalty}:chosen: {short(head.penalty)}" if head.penalty > 0 else "",
    )
    return Figure(
        title="Search for the head's penalty",
        svg=svg,
        caption=f"{'Lower' if name == 'loss' else 'Higher'} is better; to the left the head "
        "is freer, to the right simpler. Only pictures of "
        f"the training part were used. {_sizes(sizes, 'train')}",
    )


def _gradients(learning: LearningFacts) -> Figure | None:
    first, last = learning.gradients[0], learning.gradients[-1]
    names = [name for name, _ in first.norms][:MAX_STAGES]
    if not names:
        return None
    old, new = dict(first.norms), dict(last.norms)
    svg = dumbbells(
        names,
        [old.get(n, np.nan) for n in names],
        [new.get(n, np.nan) for n in names],
        title="Gradient norm of each stage, first and last epoch",
        ends=(f"epoch {first.epoch}", f"epoch {last.epoch}"),
    )
    return Figure(
        title="Gradient norm per stage",
        svg=svg,
        caption="From input (top) to output. Values that shrink a thousandfold towards "
        "the top have vanished on the way back.",
    )


def _sizes(sizes: Mapping[str, int], *parts: str) -> str:
    known = [f"{sizes[part]:,} in {part}" for part in parts if part in sizes]
    return f"n = {' and '.join(known)}." if known else ""
