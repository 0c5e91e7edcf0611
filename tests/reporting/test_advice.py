import dataclasses
from typing import Any

import pytest
from tests.reporting import ladders

from saccade.data.catalog import Finding
from saccade.data.task import Task
from saccade.evaluation.intervals import Estimate, apart, wilson
from saccade.reporting.advice import OUT_OF_TIME, advise
from saccade.reporting.facts import Advice, DataFacts, Pair, ResultFacts, SplitFacts
from saccade.reporting.learned import Epoch, LearningFacts
from saccade.reporting.learning import learning_of
from saccade.training import fit

TASK = Task(kind="multiclass", classes=("ant", "bee"))
SPLIT = SplitFacts(
    counts={"train": {"ant": 500, "bee": 500}, "test": {"ant": 200, "bee": 200}},
    sizes={"train": 1000, "test": 400},
)
GOOD = ResultFacts(part="test", metrics={"test": {"accuracy": wilson(380, 400)}})


def advice(
    *,
    data: DataFacts = DataFacts(),  # noqa: B008 - frozen
    split: SplitFacts = SPLIT,
    learning: LearningFacts = LearningFacts(),  # noqa: B008 - frozen
    results: ResultFacts = GOOD,
    **studies: Any,
) -> tuple[Advice, ...]:
    known: dict[str, Any] = {"learning": learning, "results": results, "studies": studies}
    return advise(TASK, data=data, split=split, **known)


def epoch(number: int, *, best: bool) -> Epoch:
    return Epoch(
        number=number,
        train_loss=1 / number,
        validation_loss=1 / number,
        validation_score=0.8,
        learning_rate=0.1,
        seconds=1,
        best=best,
    )


def test_nothing_is_advised_where_the_numbers_give_no_reason() -> None:
    assert advice() == ()


def test_a_severe_finding_comes_first_with_its_action() -> None:
    finding = Finding(
        kind="conflict",
        severity="severe",
        paths=("a", "b"),
        sentence="1 picture has two labels: a = b.",
        action="look at it and correct the label",
    )
    split = dataclasses.replace(SPLIT, counts={"train": {"ant": 5, "bee": 500}})
    first, *rest = advice(data=DataFacts(findings=(finding,)), split=split)
    assert first == Advice(
        sentence="Look at it and correct the label.", evidence="1 picture has two labels."
    )
    assert [a.sentence for a in rest] == ["Add training pictures of ant."]


def test_a_class_with_few_training_pictures_is_named_with_its_number() -> None:
    split = dataclasses.replace(SPLIT, counts={**SPLIT.counts, "train": {"ant": 12, "bee": 500}})
    (own,) = advice(split=split)
    assert own.sentence == "Add training pictures of ant."
    assert own.evidence == "Fewer than 30 each; the fewest, ant: 12."


def test_an_overfitting_gap_is_told_only_where_the_interval_excludes_it() -> None:
    seen = Estimate(value=1.0, low=0.99, high=1.0, n=1000, method="wilson")
    near = {"train": {"accuracy": seen}, "test": {"accuracy": wilson(392, 400)}}  # up to 0.990
    assert advice(results=dataclasses.replace(GOOD, metrics=near)) == ()
    worse = {"train": {"accuracy": seen}, "test": {"accuracy": wilson(350, 400)}}
    (own,) = advice(results=dataclasses.replace(GOOD, metrics=worse))
    assert own.evidence == (
        "Accuracy 1.000 on train (n=1000) against 0.875 on test (n=400), apart by +0.125 [+0.094, "
        "+0.161]."
    )


def test_wrong_labels_are_named_as_a_cause_of_overfitting_where_there_are_doubts() -> None:
    seen = Estimate(value=1.0, low=0.99, high=1.0, n=1000, method="wilson")
    worse = {"train": {"accuracy": seen}, "test": {"accuracy": wilson(350, 400)}}
    results = dataclasses.replace(GOOD, metrics=worse)
    suspects = {"kind": "multiclass", "n": 1000, "num_pictures": 1000, "num_sure": 0}
    (gap,) = advice(results=results, suspects=suspects)
    assert "put labels right" not in gap.sentence
    labels, gap = advice(results=results, suspects={**suspects, "num_sure": 40})
    assert labels.evidence.startswith("40 of 1,000 labels (4.0 %)")
    assert "(overfitting): first put labels right, for wrong ones are" in gap.sentence


def test_a_gap_within_chance_is_no_overfitting() -> None:
    """The upper end of the test part's accuracy lies 0.07 below; but few pictures taught, too."""
    seen, judged = wilson(40, 40), wilson(330, 400)
    assert apart(seen, judged).low > 0.03
    found = {"train": {"accuracy": seen}, "test": {"accuracy": judged}}
    assert len(advice(results=dataclasses.replace(GOOD, metrics=found))) == 1
    seen = wilson(37, 40)
    assert apart(seen, judged).low < 0.03 < seen.value - judged.high
    found = {"train": {"accuracy": seen}, "test": {"accuracy": judged}}
    assert advice(results=dataclasses.replace(GOOD, metrics=found)) == ()


def test_a_confusion_that_explains_most_mistakes_is_named() -> None:
    pair = Pair(truth="ant", prediction="bee", count=15, num_truth=200, pictures=())
    (own,) = advice(results=dataclasses.replace(GOOD, pairs=(pair,), num_wrong=20))
    assert own.evidence == "15 of 20 mistakes (75.0 %) are of this kind."


def test_a_run_whose_last_epoch_was_best_should_go_on() -> None:
    epochs = (epoch(1, best=True), epoch(2, best=True), epoch(3, best=True))
    (own,) = advice(learning=LearningFacts(score_name="accuracy", epochs=epochs))
    assert own.sentence == "Train for longer: the last epoch was still the best."
    done = (*epochs, epoch(4, best=False))
    assert advice(learning=LearningFacts(score_name="accuracy", epochs=done)) == ()


def on_ladder(*rungs: dict[str, Any], **fields: Any) -> tuple[str, ...]:
    events = [ladders.head(), *ladders.epochs(0, 6, **fields), *rungs]
    return tuple(own.sentence for own in advice(learning=learning_of(events)))


def test_the_last_epoch_of_a_rung_is_always_its_best_and_no_reason_to_go_on() -> None:
    assert on_ladder(ladders.rung(1, taken=True)) == ()


def test_a_rung_that_ran_out_of_time_asks_for_more() -> None:
    (own,) = on_ladder(ladders.rung(1, taken=False, why=OUT_OF_TIME))
    assert own == "Give it more time (--budget): a rung was not finished."
    assert OUT_OF_TIME == fit.OUT_OF_TIME


def test_a_rung_that_was_better_but_not_surely_asks_for_validation_pictures() -> None:
    close = ladders.rung(2, taken=False, gain=0.02, gain_low=-0.01, gain_high=0.05, p=0.2)
    (own,) = on_ladder(close)
    assert own.startswith("More validation pictures could decide")
    assert on_ladder(ladders.rung(2, taken=False)) == ()  # no better


def test_overfitting_is_looked_for_in_the_rung_that_was_kept_and_no_other() -> None:
    events = [
        *ladders.epochs(0, 2),
        ladders.rung(1, taken=True),
        *ladders.epochs(1, 2),
        ladders.rung(2, taken=False),
    ]
    rising = [0.3, 0.5]
    for event, loss in zip((events[0], events[2]), rising, strict=True):
        event["validation_loss"] = loss
    (own,) = advice(learning=learning_of(events))
    assert own.sentence.startswith("The rung that was kept learned by heart")
    assert own.evidence == (
        "From epoch 1 to 2 of “last stage” the validation loss rose from 0.300 to 0.500, while "
        "the training loss fell from 0.600 to 0.300."
    )
    events[4]["taken"] = False
    assert advice(learning=learning_of(events)) == ()


@pytest.mark.parametrize(
    ("events", "cure"),
    [
        ([ladders.head()], "or letting stages learn (--unfreeze)"),
        (ladders.ladder("-"), "stages that learn were tried, and not kept"),
        (
            [ladders.head(), ladders.rung(1, taken=False, why=OUT_OF_TIME)],
            "or more time for stages that learn (--budget)",
        ),
        (
            [ladders.head(), *ladders.epochs(0, 2, rung=None, best=False)],
            "stages that learn were tried, and not kept",
        ),
        (ladders.ladder("+"), "stronger augmentation or dropout may help"),
        (
            [ladders.head(), *ladders.epochs(0, 2, rung=None, best=True)],
            "dropout or fewer unfrozen stages may help",
        ),
        (ladders.epochs(0, 2, rung=None, best=True), "stronger augmentation or dropout may help"),
    ],
)
def test_the_cure_for_overfitting_follows_from_what_was_tried(
    events: list[dict[str, Any]], cure: str
) -> None:
    seen = Estimate(value=1.0, low=0.99, high=1.0, n=1000, method="wilson")
    worse = {"train": {"accuracy": seen}, "test": {"accuracy": wilson(350, 400)}}
    results = dataclasses.replace(GOOD, metrics=worse)
    (own,) = advice(learning=learning_of(events), results=results)
    assert own.sentence.endswith(f"{cure}.")
