"""Can the result be believed? A few questions that the run's own files answer."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from saccade.data.corrections import CORRECTED
from saccade.data.duplicates import COPIES
from saccade.data.task import Task
from saccade.evaluation.predictions import Predictions
from saccade.evaluation.usual import beside_usual, is_better, taught_truth, usual_metric
from saccade.reporting.estimates import p_words, told, told_change
from saccade.reporting.facts import Check, DataFacts, ResultFacts, SplitFacts
from saccade.reporting.folder import SplitRow
from saccade.reporting.glossary import BASELINES, is_share, title
from saccade.reporting.study_baselines import simpler_is_better
from saccade.reporting.study_limits import broken
from saccade.reporting.study_suspects import SUSPECTS, doubted
from saccade.reporting.wording import beginning, decimals, first_words, percent, plural

FEW_IN_TEST = 30
"Below this a 95 % Wilson interval of a share near 0.9 is wider than ±0.1."
WIDE_INTERVAL = 0.10
ONE_ANSWER = {
    "multilabel": "naming the most frequent labels",
    "regression": "answering the mean",
}
"""One and the same answer in words; of the other kinds of task it is the most frequent class."""


def checks(
    task: Task,
    *,
    data: DataFacts,
    split: SplitFacts,
    results: ResultFacts,
    rows: Sequence[SplitRow],
    predictions: Predictions | None,
    studies: Mapping[str, Any] = MappingProxyType({}),
) -> tuple[Check, ...]:
    """Return the severe findings, then what can be answered, in the order one would ask it.

    Args:
        task: with the classes.
        data: what is known of it.
        split: how many pictures each part has.
        results: what was measured.
        rows: of split.csv.
        predictions: None where there are none yet.
        studies: what was found by name, as trust.json has it.
    """
    known = max(_known_judged(predictions, results.part), _leaked(studies, results.part))
    return (
        *_severe(data),
        *_counts(data, split),
        *_separate_files(results, predictions, any_leak=known > 0),
        *_separate_groups(rows),
        *_judge(results, split, known),
        *_width(results, known),
        *_small_classes(task, results, split),
        *_corrected(data, studies),
        *_baseline(results, rows, predictions),
        *_studied(studies),
    )


def _studied(studies: Mapping[str, Any]) -> Iterator[Check]:
    """Yield what studies found against the network, its promises and its labels."""
    if "baselines" in studies and (said := simpler_is_better(studies["baselines"])):
        yield Check(holds=False, sentence=said)
    for said in broken(studies["limits"]) if "limits" in studies else ():
        yield Check(holds=False, sentence=f"A promise was not kept, beyond chance. {said}")
    if "suspects" in studies and (said := doubted(studies["suspects"])):
        yield Check(holds=False, sentence=said, anchor=SUSPECTS)


def _severe(data: DataFacts) -> Iterator[Check]:
    """Yield how each severe finding begins; the page links to the whole of it."""
    for place, own in enumerate(data.findings, start=1):
        if own.severity == "severe":
            said = beginning(own.sentence, own.paths)
            anchor = f"finding-{place}"
            yield Check(holds=False, sentence=f"Severe: {said}", anchor=anchor, is_severe=True)


def _corrected(data: DataFacts, studies: Mapping[str, Any]) -> Iterator[Check]:
    """Yield how many labels were put right, and what the score owes to those of the test part."""
    test = (studies.get("suspects", {}).get("corrections") or {}).get("test")
    for place, own in enumerate(data.findings, start=1):
        if own.kind == CORRECTED:
            said = beginning(own.sentence, own.paths)
            if test:
                before, now = (decimals(test[name]["value"]) for name in ("as_given", "corrected"))
                said += (
                    " With the test labels as they were, the accuracy of this network would be "
                    f"{before} instead of {now} (n = {test['corrected']['n']})."
                )
            yield Check(holds=own.severity == "note", sentence=said, anchor=f"finding-{place}")


def sums_that_fail(data: DataFacts, split: SplitFacts) -> tuple[str, ...]:
    """Return a sentence for every count that does not add up; best none."""
    sizes = split.sizes
    wrong = []
    if data.num_files and data.num_used + len(data.skipped) != data.num_files:
        wrong.append(
            f"{data.num_used:,} used and {len(data.skipped):,} left out are not the "
            f"{data.num_files:,} found."
        )
    if sizes and data.num_used and sum(sizes.values()) != data.num_used:
        wrong.append(
            f"The parts hold {sum(sizes.values()):,} pictures together, not {data.num_used:,}."
        )
    return tuple(wrong)


def _counts(data: DataFacts, split: SplitFacts) -> Iterator[Check]:
    if not data.num_files:
        return
    wrong = sums_that_fail(data, split)
    if wrong:
        yield Check(holds=False, sentence=f"The counts do not add up: {' '.join(wrong)}")
        return
    unseen = sum(own.reason == "limit" for own in data.skipped)
    if unseen:
        yield Check(
            holds=False,
            sentence=f"Only {data.num_files - unseen:,} of {plural(data.num_files, 'file')} were "
            f"looked at (--limit, --budget): copies, wrong labels and damage among the other "
            f"{unseen:,} were not searched for.",
        )
        return
    yield Check(
        holds=True,
        sentence=f"Every file is accounted for: {plural(data.num_files, 'file')} found, "
        f"{data.num_used:,} used, {len(data.skipped):,} left out with a reason.",
    )


def _leaked(studies: Mapping[str, Any], part: str) -> int:
    """Return how many judged pictures show the same as one of another part, by their looks too."""
    leaks = studies.get("leaks", {}).get("leaks", {})
    return int(leaks.get(part, {}).get("num", 0))


def _separate_files(
    results: ResultFacts, predictions: Predictions | None, *, any_leak: bool
) -> Iterator[Check]:
    """Yield whether pictures of equal content lie in two parts, and what that spoils."""
    if predictions is None or not any(predictions.hashes):
        return
    judged = results.part
    known, others = _known_judged(predictions, judged), _parts_of(_contents(predictions))
    twice = sum(len(own) > 1 and judged not in own for own in others.values())
    if known:
        before = "train or validation" if judged == "test" else "train"
        verb, pronoun = ("has", "it is") if known == 1 else ("have", "they are")
        yield Check(
            holds=False,
            sentence=f"{known:,} of {plural(predictions.parts.count(judged), f'{judged} picture')} "
            f"{verb} the same content as one of {before}, so {pronoun} not new to the network.",
        )
    if twice:
        yield Check(
            holds=False,
            sentence=f"{plural(twice, 'picture lies', 'pictures lie')} in train and validation "
            "with the same content, so what was kept was chosen by pictures that are not all new; "
            "no test picture is among them.",
        )
    if not known and not twice and not any_leak:  # copies in other bytes have their own line
        yield Check(holds=True, sentence="No picture lies in two parts (compared by content hash).")


def _contents(predictions: Predictions) -> Iterator[tuple[str, str]]:
    return zip(predictions.hashes, predictions.parts, strict=True)


def _known_judged(predictions: Predictions | None, judged: str) -> int:
    """Return how many judged pictures have their content in another part too."""
    if predictions is None:
        return 0
    parts = _parts_of(_contents(predictions))
    return sum(
        part == judged and len(parts[key]) > 1 for key, part in _contents(predictions) if key
    )


def _separate_groups(rows: Sequence[SplitRow]) -> Iterator[Check]:
    """Yield whether sets of copies, near ones too, and groups lie in one part each."""
    for noun, copies in (("set of copies", True), ("group", False)):
        groups = [(own.group, own.part) for own in rows if own.group]
        groups = [(name, part) for name, part in groups if name.startswith(COPIES) == copies]
        sizes = Counter(name for name, _ in groups)
        groups = [own for own in groups if not copies or sizes[own[0]] > 1]  # others were left out
        if not groups:
            continue
        parts = _parts_of(groups)
        number, shared = len(parts), sum(len(own) > 1 for own in parts.values())
        many = noun.replace("set", "sets") if copies else "groups"
        if shared:
            yield Check(
                holds=False,
                sentence=f"{plural(shared, f'{noun} lies', f'{many} lie')} in more than one part.",
            )
        else:
            yield Check(
                holds=True,
                sentence=f"{'The one' if number == 1 else 'Each of'} "
                f"{noun if number == 1 else plural(number, noun, many)} lies in one part only.",
            )


def _parts_of(pairs: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    """Return the parts that each name lies in; an empty name is none."""
    parts: dict[str, set[str]] = defaultdict(set)
    for key, part in pairs:
        if key:
            parts[key].add(part)
    return parts


def _judge(results: ResultFacts, split: SplitFacts, num_known: int) -> Iterator[Check]:
    """Yield who judged; `num_known` of them show what is in another part too."""
    n = split.sizes.get(results.part, 0)
    if results.part == "test":
        who = "it" if n == 1 else "they"
        who = f"{n - num_known:,} of them" if num_known else who
        yield Check(
            holds=not num_known,
            sentence=f"{plural(n, 'test picture')} judged the network; {who} neither taught it nor "
            "chose anything.",
        )
    elif results.part:
        yield Check(
            holds=False,
            sentence=f"There is no test part: {plural(n, f'{results.part} picture')} judged that "
            "also chose what was kept, which flatters the network.",
        )


def _width(results: ResultFacts, num_known: int) -> Iterator[Check]:
    """Yield how well the accuracy is known; `num_known` of its pictures are not new."""
    own = results.judged.get("accuracy")
    if own is None or not math.isfinite(own.high - own.low):
        return
    narrow = own.high - own.low <= WIDE_INTERVAL
    among = f", {plural(num_known, 'known one')} among them" if num_known else ""
    whom = "groups" if "groups" in own.method else "pictures"
    yield Check(
        holds=narrow and not num_known,
        sentence=f"The accuracy is known to within {percent(own.low)} to {percent(own.high)} "
        f"(95 % interval, n = {own.n:,}{among})"
        + ("." if narrow else f", which is wide: a few {whom} more or less would change it."),
    )


def _small_classes(task: Task, results: ResultFacts, split: SplitFacts) -> Iterator[Check]:
    own = split.counts.get(results.part)
    if not own or not task.classes:
        return
    absent = [name for name in task.classes if not own.get(name)]
    if absent:
        yield Check(
            holds=False,
            sentence=f"No {results.part} picture shows {first_words(absent)}, so nothing is known "
            f"about {'it' if len(absent) == 1 else 'them'}.",
        )
    few = [name for name in task.classes if 0 < own.get(name, 0) < FEW_IN_TEST]
    if few:
        yield Check(
            holds=False,
            sentence=f"{first_words(few)} {'has' if len(few) == 1 else 'have'} fewer than "
            f"{FEW_IN_TEST} {results.part} pictures: read "
            f"{'its' if len(few) == 1 else 'their'} numbers with the interval.",
        )
    if not absent and not few:
        fewest = min(task.classes, key=lambda name: own[name])
        noun = "label" if task.kind == "multilabel" else "class"
        yield Check(
            holds=True,
            sentence=f"Every {noun} has at least {FEW_IN_TEST} {results.part} pictures (the "
            f"fewest: {fewest}, {own[fewest]:,}).",
        )


def _baseline(
    results: ResultFacts, rows: Sequence[SplitRow], predictions: Predictions | None
) -> Iterator[Check]:
    """Yield whether the answers are better than one and the same, on the same pictures."""
    if predictions is None or predictions.truth is None:
        return
    part, kind = results.part, predictions.task.kind
    metric, judged = usual_metric(kind), predictions.rows(part)
    own, base = results.judged.get(metric), results.judged.get(BASELINES[metric])
    group_of = {row.path: row.group for row in rows}
    groups = [group_of.get(path, "") for path in judged.paths]
    taught = taught_truth(predictions)
    apart = beside_usual(judged, groups=groups, training_truth=taught).get(part)
    if own is None or base is None or apart is None or not math.isfinite(apart.low + base.value):
        return
    better, usual = is_better(apart), decimals(base.value, share=is_share(metric))
    found = {"value": apart.value, "low": apart.low, "high": apart.high, "n": apart.n}
    yield Check(
        holds=better,
        sentence=f"It is {'better' if better else 'not shown to be better'} than always "
        f"{ONE_ANSWER.get(kind, 'naming the most frequent class')}: "
        f"{title(metric)[0].lower()} {told(own.as_dict(), metric)} against {usual}, apart by "
        f"{told_change(found, metric)}, {p_words(apart.p)} (n = {own.n:,}, the same pictures).",
    )
