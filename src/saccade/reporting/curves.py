"""The curves of learning: epochs, the head's penalty, gradients; on a ladder rung by rung."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import groupby

from saccade.evaluation.difference import lower_is_better
from saccade.reporting.axes import Axis, around
from saccade.reporting.charts import Series, dumbbells, line_chart
from saccade.reporting.facts import Facts
from saccade.reporting.figures import Figure
from saccade.reporting.glossary import is_share, score_words
from saccade.reporting.learned import Epoch, GradientNorms, LearningFacts
from saccade.reporting.svg import Svg
from saccade.reporting.wording import cut, decimals, short

MAX_STAGES = 40
ROOM = 4  # rungs beside each other whose first and last epoch can be numbered
PALE = "Pale: a rung that was undone. "


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Epochs that follow one another: all of a run, or those of one rung."""

    name: str  # of the rung; empty where there is no ladder
    taken: bool
    epochs: tuple[Epoch, ...]
    places: tuple[float, ...]  # of the epochs on the common axis


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


def stretches(learning: LearningFacts) -> tuple[Stretch, ...]:
    """Return the epochs rung by rung, one behind the other; all as one where there is no ladder."""
    found: list[Stretch] = []
    for rung, group in groupby(learning.epochs, key=lambda epoch: epoch.rung):
        epochs, done = tuple(group), sum(len(one.epochs) for one in found)
        known = learning.rungs[rung] if rung is not None and rung < len(learning.rungs) else None
        behind = tuple(float(done + k + 1) for k in range(len(epochs)))
        found.append(
            Stretch(
                name=known.name if known else "" if rung is None else f"rung {rung + 1}",
                taken=known is None or known.taken,
                epochs=epochs,
                places=behind if rung is not None else tuple(float(e.number) for e in epochs),
            )
        )
    return tuple(found)


def _drawn(
    learning: LearningFacts,
    lines: Mapping[str, Callable[[Epoch], float]],
    y: Axis,
    *,
    kinds: str,
    title: str,
    mark: str = "",
) -> Svg:
    """Return a line of a kind for each name; on a ladder a stretch for each rung."""
    own = stretches(learning)
    series = [
        Series(
            name=name if one is own[0] else "",
            x=one.places,
            y=[read(epoch) for epoch in one.epochs],
            kind=kind if one.taken else f"{kind} pale",
        )
        for one in own
        for (name, read), kind in zip(lines.items(), kinds, strict=True)
    ]
    places = [at for one in own for at in one.places]
    if not any(one.name for one in own):
        x = Axis(title="epoch", low=min(places), high=max(places), whole=True)
        return line_chart(series, x, y, title=title, mark=mark)
    shown = (0, -1) if len(own) <= ROOM else (-1,)
    ends = {one.places[k]: str(one.epochs[k].number) for one in own for k in shown}
    x = Axis(title="epoch of the rung", low=0.5, high=len(places) + 0.5, named=tuple(ends.items()))
    named = [(one.places[0] - 0.5, cut(one.name.removesuffix(" stages"), 12)) for one in own]
    return line_chart(series, x, y, title=f"{title}, rung by rung", stretches=named)


def _losses(learning: LearningFacts, sizes: Mapping[str, int]) -> Figure | None:
    lines: dict[str, Callable[[Epoch], float]] = {
        "train": lambda epoch: epoch.train_loss,
        "validation": lambda epoch: epoch.validation_loss,
    }
    kinds = {"train": "b", "validation": "a"}
    lines = {name: read for name, read in lines.items() if _known(learning, read)}
    if not lines:
        return None
    low, high = around([read(epoch) for read in lines.values() for epoch in learning.epochs])
    svg = _drawn(
        learning,
        lines,
        Axis(title="loss", low=max(low, 0), high=high),
        kinds="".join(kinds[name] for name in lines),
        title=f"Loss per epoch over {len(learning.epochs)} epochs, {' and '.join(lines)}",
        mark=_best(learning),
    )
    return Figure(
        title="Loss per epoch",
        svg=svg,
        caption="Where validation rises while train falls, it learns by heart. "
        f"{_pale(learning)}{_sizes(sizes, 'train', 'validation')}",
    )


def _scores(learning: LearningFacts, sizes: Mapping[str, int]) -> Figure | None:
    def read(epoch: Epoch) -> float:
        return epoch.validation_score

    if not _known(learning, read):
        return None
    name = score_words(learning.score_name)
    values = [read(e) for e in learning.epochs if math.isfinite(read(e))]
    low, high = around(values)
    svg = _drawn(
        learning,
        {name: read},
        Axis(title=f"validation {name}", low=low, high=high),
        kinds="a",
        title=f"Validation {name} per epoch",
        mark=_best(learning),
    )
    lower = lower_is_better(learning.score_name)
    end = decimals((min if lower else max)(values), share=is_share(learning.score_name))
    best = f"{'Lowest' if lower else 'Highest'}: {end}."
    kept = "The last epoch of a rung counts." if _on_ladder(learning) else _KEPT
    return Figure(
        title=f"Validation {name} per epoch",
        svg=svg,
        caption=f"{best} {kept} {_pale(learning)}{_sizes(sizes, 'validation')}",
    )


_KEPT = "The epoch with the best score is kept."


def _rates(learning: LearningFacts) -> Figure | None:
    def read(epoch: Epoch) -> float:
        return epoch.learning_rate

    if not _known(learning, read):
        return None
    _, high = around([read(epoch) for epoch in learning.epochs])
    svg = _drawn(
        learning,
        {"learning rate": read},
        Axis(title="learning rate", low=0, high=high),
        kinds="b",
        title="Learning rate per epoch",
    )
    return Figure(
        title="Learning rate per epoch",
        svg=svg,
        caption=f"The head's rate at the end of each epoch. {_pale(learning)}",
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
    name = "loss" if head.measured == "loss" else score_words(learning.score_name)
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
    own, where = _norms_to_show(learning)
    first, last = own[0], own[-1]
    names = [name for name, _ in first.norms][:MAX_STAGES]
    if not names:
        return None
    old, new = dict(first.norms), dict(last.norms)
    svg = dumbbells(
        names,
        [old.get(n, math.nan) for n in names],
        [new.get(n, math.nan) for n in names],
        title=f"Gradient norm of each stage, first and last epoch{where}",
        ends=(f"epoch {first.epoch}", f"epoch {last.epoch}"),
    )
    return Figure(
        title=f"Gradient norm per stage{where}",
        svg=svg,
        caption="From input (top) to output. Values that shrink a thousandfold towards "
        "the top have vanished on the way back.",
    )


def _norms_to_show(learning: LearningFacts) -> tuple[list[GradientNorms], str]:
    """Return the norms of the rung that was kept, else of the last one tried, and its name."""
    rung = learning.kept_rung if learning.kept_rung is not None else learning.gradients[-1].rung
    own = [one for one in learning.gradients if one.rung == rung] or list(learning.gradients)
    known = rung is not None and rung < len(learning.rungs)
    return own, f", rung “{learning.rungs[rung].name}”" if known and rung is not None else ""


def _known(learning: LearningFacts, read: Callable[[Epoch], float]) -> bool:
    return any(math.isfinite(read(epoch)) for epoch in learning.epochs)


def _on_ladder(learning: LearningFacts) -> bool:
    return any(epoch.rung is not None for epoch in learning.epochs)


def _pale(learning: LearningFacts) -> str:
    return PALE if any(not one.taken for one in stretches(learning)) else ""


def _best(learning: LearningFacts) -> str:
    best = [e.number for e in learning.epochs if e.best]
    return f"{best[-1]}:kept: epoch {best[-1]}" if best else ""


def _sizes(sizes: Mapping[str, int], *parts: str) -> str:
    known = [f"{sizes[part]:,} in {part}" for part in parts if part in sizes]
    return f"n = {' and '.join(known)}." if known else ""
