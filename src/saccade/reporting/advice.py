"""What would probably help, each with the numbers that say so; nothing is guessed."""

import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from saccade.data.task import Task
from saccade.evaluation.intervals import apart
from saccade.reporting.checks import FEW_IN_TEST, WIDE_INTERVAL
from saccade.reporting.estimates import told_change
from saccade.reporting.facts import Advice, DataFacts, ResultFacts, SplitFacts
from saccade.reporting.glossary import is_share, score_words
from saccade.reporting.learned import LearningFacts
from saccade.reporting.study_suspects import doubted
from saccade.reporting.wording import (
    as_sentence,
    beginning,
    decimals,
    duration,
    first_words,
    percent,
    plural,
)

FEW_TO_LEARN = 30
OUT_OF_TIME = "its time was up"
"What a rung says that ran out of time; `training.fit` writes it, and importing that costs torch."
GAP = 0.03
"""Of the accuracy between the part that taught and the one that judges: with less there is nothing
to cure. The whole interval must lie above."""
RISE = 0.1  # of the validation loss over its lowest value, that is worth a word


def advise(
    task: Task,
    *,
    data: DataFacts,
    split: SplitFacts,
    learning: LearningFacts,
    results: ResultFacts,
    studies: Mapping[str, Any] = MappingProxyType({}),
) -> tuple[Advice, ...]:
    """Return the advice, most pressing first; empty where the numbers give no reason."""
    about_labels = (*_about_labels(studies),)
    return (
        *about_labels,
        *_about_findings(data),
        *_about_test(split, results),
        *_about_training(task, split, learning),
        *_about_gap(learning, results, doubts=bool(about_labels)),
        *_about_confusion(results),
        *_about_curves(learning),
    )


def _about_labels(studies: Mapping[str, Any]) -> Iterator[Advice]:
    said = doubted(studies["suspects"]) if "suspects" in studies else ""
    if said:
        yield Advice(
            sentence="Go through the labels that look wrong, put the wrong ones right in the "
            "suspects.csv that saccade train writes, and train with --corrections suspects.csv.",
            evidence=f"{said.partition(':')[0]}.",
        )


def _about_findings(data: DataFacts) -> Iterator[Advice]:
    for own in data.findings:
        if own.action and own.severity in {"severe", "warning"}:
            said = beginning(own.sentence, own.paths)
            yield Advice(sentence=as_sentence(own.action), evidence=said)


def _about_test(split: SplitFacts, results: ResultFacts) -> Iterator[Advice]:
    own = {name: n for name, n in split.counts.get(results.part, {}).items() if name}
    absent = [name for name, number in own.items() if number == 0]
    if absent:
        yield Advice(
            sentence=f"Collect {results.part} pictures of {first_words(absent)}: without any, "
            "nothing is known about how well they are recognised.",
            evidence=f"0 of {plural(split.sizes.get(results.part, 0), f'{results.part} picture')} "
            f"show {'it' if len(absent) == 1 else 'them'}.",
        )
    few = [name for name, number in own.items() if 0 < number < FEW_IN_TEST]
    if few:
        smallest = min(few, key=lambda name: own[name])
        yield Advice(
            sentence=f"Collect more {results.part} pictures of {first_words(few)} before you trust "
            "their numbers.",
            evidence=f"Fewer than {FEW_IN_TEST} each; the fewest, {smallest}: {own[smallest]}.",
        )
    accuracy = results.judged.get("accuracy")
    if accuracy and accuracy.high - accuracy.low > WIDE_INTERVAL:
        whom = "groups" if "groups" in accuracy.method else "pictures"
        yield Advice(
            sentence=f"Judge on more {whom}: the interval of the accuracy is wide.",
            evidence=f"{decimals(accuracy.low)} to {decimals(accuracy.high)} from "
            f"{plural(accuracy.n, 'picture')}; four times as many {whom} would halve it.",
        )


def _about_training(task: Task, split: SplitFacts, learning: LearningFacts) -> Iterator[Advice]:
    own = split.counts.get("train", {})
    few = [name for name in task.classes if own.get(name, FEW_TO_LEARN) < FEW_TO_LEARN]
    if few:
        fewest = min(few, key=lambda name: own[name])
        yield Advice(
            sentence=f"Add training pictures of {first_words(few)}.",
            evidence=f"Fewer than {FEW_TO_LEARN} each; the fewest, {fewest}: {own[fewest]}.",
        )


def _about_gap(learning: LearningFacts, results: ResultFacts, *, doubts: bool) -> Iterator[Advice]:
    """Compare what taught with what judges, as the factors of fine-tuning do.

    Wrong labels are learned by heart too, and are named as a cause where there are `doubts`.
    """
    seen = results.metrics.get("train", {}).get("accuracy")
    judged = results.judged.get("accuracy")
    if seen and judged and results.part != "train" and (gap := apart(seen, judged)).low > GAP:
        cure = "more pictures, stronger augmentation or dropout may help"
        if learning.head and not learning.rungs:  # a ladder has compared fewer, and kept these
            cure = "more pictures, stronger augmentation, dropout or fewer unfrozen stages may help"
        if learning.head and not learning.epochs and not learning.rungs:
            cure = "more training pictures may help, or letting stages learn (--unfreeze)"
        elif learning.head and not learning.kept_epochs and _out_of_time(learning):
            cure = "more training pictures may help, or more time for stages that learn (--budget)"
        elif learning.head and not learning.kept_epochs:
            cure = "more training pictures may help; stages that learn were tried, and not kept"
        if doubts:
            cure = f"first put labels right, for wrong ones are learned by heart too; then {cure}"
        yield Advice(
            sentence="The network knows its training pictures better than new ones (overfitting): "
            f"{cure}.",
            evidence=f"Accuracy {decimals(seen.value)} on train (n={seen.n}) against "
            f"{decimals(judged.value)} on {results.part} (n={judged.n}), apart by "
            f"{told_change(gap.as_dict())}.",
        )


def _out_of_time(learning: LearningFacts) -> bool:
    return any(rung.why == OUT_OF_TIME for rung in learning.rungs)


def _about_confusion(results: ResultFacts) -> Iterator[Advice]:
    if not results.pairs or results.num_wrong < 10:
        return
    first = results.pairs[0]
    if first.count >= 0.25 * results.num_wrong:
        yield Advice(
            sentence=f"Look at the pictures of {first.truth} taken for {first.prediction}: are the "
            "labels right, and would you see the difference at this size? If so, more pictures "
            "of these two may help.",
            evidence=f"{first.count} of {plural(results.num_wrong, 'mistake')} "
            f"({percent(first.count / results.num_wrong)}) are of this kind.",
        )


def _about_curves(learning: LearningFacts) -> Iterator[Advice]:
    epochs, name = learning.kept_epochs, learning.score_name
    if any(epoch.rung is not None for epoch in learning.epochs):
        yield from _about_ladder(learning)
    elif len(epochs) >= 3 and epochs[-1].best and math.isfinite(epochs[-1].validation_score):
        yield Advice(
            sentence="Train for longer: the last epoch was still the best.",
            evidence=f"Validation {score_words(name)} "
            f"{decimals(epochs[-1].validation_score, share=is_share(name))} in epoch "
            f"{epochs[-1].number} of {len(epochs)}.",
        )


def _about_ladder(learning: LearningFacts) -> Iterator[Advice]:
    for rung in learning.rungs:
        if rung.why == OUT_OF_TIME:
            yield Advice(
                sentence="Give it more time (--budget): a rung was not finished.",
                evidence=f"The rung “{rung.name}” was undone after {duration(rung.seconds)}.",
            )
    close = [r for r in learning.rungs if not r.taken and not r.why and r.gain > 0 >= r.low]
    if close:
        best = max(close, key=lambda rung: rung.gain)
        yield Advice(
            sentence="More validation pictures could decide whether it helps that more stages "
            "learn: a rung was better, but not surely.",
            evidence=f"“{best.name}”: gain {best.gain:+.4f}, p = {best.p:.2g}"
            f"{f', n = {best.score.n}' if best.score.n else ''}.",
        )
    yield from _about_last_epochs(learning)


def _about_last_epochs(learning: LearningFacts) -> Iterator[Advice]:
    """Look at the rung that was kept: the others left no trace in the weights."""
    epochs = learning.kept_epochs
    if len(epochs) < 2 or learning.kept_rung is None:
        return
    last, best = epochs[-1], min(epochs, key=lambda epoch: epoch.validation_loss)
    learned_by_heart = last.train_loss < best.train_loss
    if learned_by_heart and last.validation_loss > (1 + RISE) * best.validation_loss:
        yield Advice(
            sentence="The rung that was kept learned by heart towards its end (overfitting): fewer "
            "epochs (--epochs), stronger augmentation or more pictures may help.",
            evidence=f"From epoch {best.number} to {last.number} of "
            f"“{learning.rungs[learning.kept_rung].name}” the validation loss rose from "
            f"{_loss(best.validation_loss)} to {_loss(last.validation_loss)}, while the training "
            f"loss fell from {_loss(best.train_loss)} to {_loss(last.train_loss)}.",
        )


def _loss(value: float) -> str:
    return decimals(value, share=False)
