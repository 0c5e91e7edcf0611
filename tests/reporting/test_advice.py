import dataclasses

from saccade.data.catalog import Finding
from saccade.data.task import Task
from saccade.evaluation.intervals import Estimate, wilson
from saccade.reporting.advice import advise
from saccade.reporting.facts import Advice, DataFacts, Pair, ResultFacts, SplitFacts
from saccade.reporting.learned import Epoch, LearningFacts

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
) -> tuple[Advice, ...]:
    return advise(TASK, data=data, split=split, learning=learning, results=results)


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
        sentence="2 pictures are the same but have different labels.",
        action="look at them and correct the labels",
    )
    split = dataclasses.replace(SPLIT, counts={"train": {"ant": 5, "bee": 500}})
    first, *rest = advice(data=DataFacts(findings=(finding,)), split=split)
    assert first == Advice(
        sentence="Look at them and correct the labels.", evidence=finding.sentence
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
    assert own.evidence == "Accuracy 1.000 on train (n=1000) against 0.875 on test (n=400)."


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
