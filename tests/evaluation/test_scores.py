import json
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from saccade.data.task import Task
from saccade.evaluation.intervals import Estimate, undefined, wilson
from saccade.evaluation.paired import compare_answers
from saccade.evaluation.predictions import Predictions
from saccade.evaluation.scores import as_json, evaluate, from_json, headline
from saccade.evaluation.usual import beside_usual
from saccade.runtime.errors import ArtefactError
from saccade.runtime.store import json_text

Make = Callable[..., Predictions]


def equal(a: Estimate, b: Estimate) -> bool:
    return repr(a) == repr(b)  # NaN is not equal to itself


def test_the_flowers_by_hand(flowers: Predictions) -> None:
    # truth 3 daisies, 2 roses, 3 tulips; one daisy called a rose, one tulip called a daisy
    found = evaluate(flowers)["test"]
    assert equal(found["accuracy"], wilson(6, 8))
    assert equal(found["recall[daisy]"], wilson(2, 3))
    assert equal(found["precision[rose]"], wilson(2, 3))
    assert equal(found["specificity[tulip]"], wilson(5, 5))
    assert found["balanced_accuracy"].value == pytest.approx((2 / 3 + 1 + 2 / 3) / 3)
    assert found["f1[tulip]"].value == pytest.approx(0.8)
    assert equal(found["f1_micro"], found["accuracy"])
    assert equal(found["balanced_accuracy"], found["recall_macro"])


def test_parts_are_judged_apart_and_in_the_order_of_the_road(make_table: Make) -> None:
    table = make_table(
        "binary",
        [0, 0, 0, 1, 1],
        [[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.3, 0.7], [0.6, 0.4]],
        parts=("test", "train", "train", "test", "validation"),
    )
    found = evaluate(table)
    assert list(found) == ["train", "validation", "test"]
    assert [found[part]["accuracy"].n for part in found] == [2, 1, 2]
    assert found["test"]["accuracy"].value == 1.0


def test_a_part_does_not_depend_on_the_other_parts(make_table: Make) -> None:
    rng = np.random.default_rng(0)
    truth, scores = rng.integers(3, size=60), rng.dirichlet(np.ones(3), size=60)
    both = make_table("multiclass", truth, scores, parts=["train"] * 30 + ["test"] * 30)
    alone = evaluate(both.rows("test"), training_truth=truth[:30])["test"]
    together = evaluate(both)["test"]
    assert {n: repr(e) for n, e in alone.items()} == {n: repr(e) for n, e in together.items()}


def test_the_seed_alone_decides_the_intervals(flowers: Predictions) -> None:
    first, again = evaluate(flowers, seed=3), evaluate(flowers, seed=3)
    other = evaluate(flowers, seed=4)
    assert repr(first) == repr(again)
    assert first["test"]["f1_macro"] != other["test"]["f1_macro"]
    assert first["test"]["f1_macro"].value == other["test"]["f1_macro"].value


def test_a_table_of_no_pictures_gives_no_numbers(make_table: Make) -> None:
    for kind, columns in (("binary", 2), ("multiclass", 3), ("multilabel", 3), ("regression", 1)):
        truth = np.zeros((0, 3)) if kind == "multilabel" else []
        assert evaluate(make_table(kind, truth, np.zeros((0, columns)))) == {}


def test_without_true_labels_nothing_is_evaluated(make_table: Make) -> None:
    with pytest.raises(ArtefactError) as caught:
        evaluate(make_table("binary", None, [[0.9, 0.1]]))
    assert str(caught.value) == (
        "Nothing can be evaluated without true labels; this table has none.\n"
        "  where: the column truth of 1 rows\n"
        "  fix:   add the true labels, or use predict instead of eval"
    )


@pytest.mark.parametrize(
    ("kind", "truth", "scores", "left_out"),
    [
        (
            "binary",
            [0, 1],
            [[1, 0], [1, 0]],
            {"roc_auc", "average_precision_macro", "log_loss"},
        ),
        (
            "multiclass",
            [0, 5, 2],
            np.eye(6)[[0, 1, 2]],
            {"roc_auc_ovr_macro", "average_precision_macro", "log_loss", "top_5_accuracy"},
        ),
        (
            "multilabel",
            [[0, 1], [1, 1]],
            [[1, 0], [1, 1]],
            {"roc_auc_macro", "average_precision_macro", "log_loss_macro"},
        ),
    ],
)
def test_metrics_that_need_scores_are_left_out_by_name_where_there_are_none(
    make_table: Make, kind: str, truth: list, scores: np.ndarray, left_out: set[str]
) -> None:
    found = evaluate(make_table(kind, truth, scores, scored=False))["test"]
    reason = "undefined: the table holds answers and no scores"
    assert {name for name, one in found.items() if one.method == reason} == left_out
    assert math.isfinite(found["f1_macro"].value)


class TestBaselines:
    def test_the_majority_is_that_of_the_training_part(self, make_table: Make) -> None:
        table = make_table(
            "binary",
            [0, 0, 1, 1, 1, 0],
            [[0.9, 0.1]] * 6,
            classes=("daisy", "rose"),
            parts=["train", "train", "train", "test", "test", "test"],
        )
        one = evaluate(table)["test"]["majority_accuracy"]
        assert one.value == pytest.approx(1 / 3)
        assert one.method == "wilson; always answering 'daisy'"
        assert (one.low, one.high) == (wilson(1, 3).low, wilson(1, 3).high)

    def test_without_a_training_part_the_baseline_says_what_it_is(
        self, flowers: Predictions
    ) -> None:
        one = evaluate(flowers)["test"]["majority_accuracy"]
        assert one.value == 3 / 8
        assert one.method == (
            "wilson; always answering 'daisy' (the most frequent of this part itself)"
        )
        told = evaluate(flowers, training_truth=np.array([1, 1, 0]))["test"]["majority_accuracy"]
        assert (told.value, told.method) == (2 / 8, "wilson; always answering 'rose'")

    def test_a_few_training_rows_are_no_training_part(self, make_table: Make) -> None:
        table = make_table(
            "binary",
            [0, 1, 1],
            [[0.2, 0.8]] * 3,
            classes=("daisy", "rose"),
            parts=["train", "test", "test"],
        )
        one = evaluate(table, whole=False)["test"]["majority_accuracy"]
        assert one.value == 1.0
        assert one.method.endswith("'rose' (the most frequent of this part itself)")

    def test_labels_are_compared_with_the_most_frequent_set(self, make_table: Make) -> None:
        table = make_table(
            "multilabel", [[1, 1], [1, 1], [0, 0]], [[0.9, 0.1]] * 3, classes=("sea", "sky")
        )
        one = evaluate(table, training_truth=np.array([[0, 0]]))["test"]
        assert one["majority_accuracy_subset"].value == pytest.approx(1 / 3)
        assert one["majority_accuracy_subset"].method == "wilson; always answering no label"
        assert "always answering 'sea|sky' (" in (
            evaluate(table)["test"]["majority_accuracy_subset"].method
        )

    def test_numbers_are_compared_with_the_training_mean(self, make_table: Make) -> None:
        table = make_table("regression", [1.0, 3.0], [[1.0], [2.0]])
        one = evaluate(table, training_truth=np.array([0.0, 10.0]))["test"]
        assert one["mean_baseline_mae"].value == 3.0
        assert one["mean_baseline_mae"].method == "bootstrap-t; always answering the mean (5)"
        assert one["mean_baseline_rmse"].value == pytest.approx(math.sqrt((16 + 4) / 2))


class TestGroups:
    @pytest.mark.parametrize("wrong", [0, 1, 3])
    def test_few_mistakes_in_one_group_of_ten_make_nothing_sure(
        self, make_table: Make, wrong: int
    ) -> None:
        truth, groups = np.arange(400) % 3, [str(row // 40) for row in range(400)]
        said = np.where(np.arange(400) < wrong, (truth + 1) % 3, truth)
        found = evaluate(make_table("multiclass", truth, np.eye(3)[said]), groups=groups)["test"]
        for name in ("accuracy", "balanced_accuracy", "f1_macro", "precision_weighted"):
            assert found[name].low < 0.85, name  # once 0.984 beside one mistake
        marks = (np.arange(1200).reshape(400, 3) % 2).astype(np.uint8)
        given = np.abs(marks - 0.1)
        given[:wrong] = 1 - given[:wrong]
        found = evaluate(make_table("multilabel", marks, given), groups=groups)["test"]
        assert found["hamming_loss"].high > 0.15
        for name in ("accuracy_subset", "f1_samples", "f1_macro", "f1_micro"):
            assert found[name].low < 0.91, name

    @pytest.mark.slow
    def test_an_average_hangs_on_the_few_groups_of_a_rare_class(self, make_table: Make) -> None:
        """Of 40 patients 5 have the second class; recalls are beta distributed with mean 0.6."""
        rng, held = np.random.default_rng(0), 0
        truth = np.repeat((np.arange(40) < 5).astype(int), 10)
        groups = [str(row // 10) for row in range(400)]
        for _ in range(200):
            right = rng.random(400) < np.repeat(rng.beta(1.2, 0.8, size=40), 10)
            table = make_table("binary", truth, np.eye(2)[np.where(right, truth, 1 - truth)])
            found = evaluate(table, groups=groups)["test"]["balanced_accuracy"]
            held += found.low <= 0.6 <= found.high
        assert held >= 0.93 * 200  # once 89 %

    def test_every_interval_widens_when_copies_are_known_as_copies(self, make_table: Make) -> None:
        rng = np.random.default_rng(0)
        truth, scores = rng.integers(3, size=60), rng.dirichlet(np.ones(3), size=60)
        scores[np.arange(60), truth] += 0.7
        scores /= scores.sum(axis=1, keepdims=True)
        copies = make_table("multiclass", np.repeat(truth, 6), np.repeat(scores, 6, axis=0))
        names = [f"burst {i // 6}" for i in range(360)]
        grouped, naive = evaluate(copies, groups=names)["test"], evaluate(copies)["test"]
        single = evaluate(make_table("multiclass", truth, scores))["test"]
        for name, one in grouped.items():
            width, plain = one.high - one.low, naive[name].high - naive[name].low
            assert one.value == naive[name].value
            assert width > 1.7 * plain, name
            assert width == pytest.approx(single[name].high - single[name].low, rel=0.5), name
            assert "[" in name or " of 60 groups" in one.method  # a class is in some of them

    @pytest.mark.parametrize("kind", ["multilabel", "regression"])
    def test_groups_count_in_the_other_tasks_too(self, make_table: Make, kind: str) -> None:
        rng = np.random.default_rng(0)
        scores = rng.random((20, 1 if kind == "regression" else 2))
        truth = rng.random(20) if kind == "regression" else rng.integers(2, size=(20, 2))
        copies = make_table(kind, np.repeat(truth, 4, axis=0), np.repeat(scores, 4, axis=0))
        names = [str(i // 4) for i in range(80)]
        grouped, naive = evaluate(copies, groups=names)["test"], evaluate(copies)["test"]
        for name, one in grouped.items():
            assert one.high - one.low > 1.2 * (naive[name].high - naive[name].low), name

    def test_a_wrong_number_of_names_is_refused(self, flowers: Predictions) -> None:
        with pytest.raises(ValueError, match="1 groups for 8 rows"):
            evaluate(flowers, groups=["a"])


class TestJson:
    def test_metrics_come_back_from_json(self, make_table: Make) -> None:
        metrics = evaluate(make_table("multiclass", [0, 0, 1], np.eye(4)[[0, 0, 2]]))
        text = json_text(as_json(metrics))
        back = from_json(json.loads(text))
        assert repr(back) == repr(metrics)

    def test_what_is_undefined_becomes_null(self) -> None:
        content = as_json({"test": {"recall[x]": undefined("no picture of this class", n=0)}})
        assert content == {
            "test": {
                "recall[x]": {
                    "value": None,
                    "low": None,
                    "high": None,
                    "n": 0,
                    "method": "undefined: no picture of this class",
                }
            }
        }

    @pytest.mark.parametrize("content", [[], {"test": []}, {"test": {"a": {"value": 1}}}])
    def test_another_form_is_refused(self, content: object) -> None:
        with pytest.raises(ArtefactError, match="Metrics must be") as caught:
            from_json(content)  # type: ignore[arg-type]
        assert caught.value.code == "SACCADE-E558"


FLOWERS = Task(kind="multiclass", classes=("daisy", "rose", "tulip"))


def accuracy(right: int, n: int, usual: int, name: str = "accuracy") -> dict[str, Estimate]:
    baseline = replace(wilson(usual, n), method="wilson; always answering 'daisy'")
    return {name: wilson(right, n), f"majority_{name}": baseline}


def told(metrics: dict[str, dict[str, Estimate]], task: Task = FLOWERS) -> str:
    """Return the headline where each part is beside an answer that is wrong wherever ours is."""
    apart = {}
    for part, found in metrics.items():
        ours, usual = (round(own.value * own.n) for own in list(found.values())[:2])
        n = next(iter(found.values())).n
        first, second = ((np.arange(n) < num).astype(int) for num in (usual, ours))
        apart[part] = compare_answers(np.ones(n, int), first, second)
    return headline(metrics, task, apart)


class TestHeadline:
    def test_few_pictures_get_a_warning(self) -> None:
        assert told({"test": accuracy(11, 12, 4)}) == (
            "Of 12 test pictures 11 were named rightly: accuracy 0.917 [0.637, 0.997]; always "
            "answering 'daisy' would have 0.333. With 12 pictures one more mistake moves this "
            "number by 0.083; nothing finer than the interval can be said."
        )

    def test_a_single_picture_is_one_picture(self) -> None:
        assert told({"test": accuracy(1, 1, 0)}).startswith(
            "Of 1 test picture 1 was named rightly: accuracy 1.000 [0.035, 1.000];"
        )

    def test_no_better_than_the_baseline_is_said(self) -> None:
        """The interval lies above 0.5; 31 pictures gained and 19 lost may still be chance."""
        truth = np.repeat([0, 1], 50)
        said = np.repeat([0, 1, 1, 0], [31, 19, 31, 19])
        apart = {"test": compare_answers(truth, truth * 0, said)}
        p = binomtest(19, 50).pvalue  # scipy: McNemar's exact test
        assert wilson(62, 100).low > 0.5
        assert headline({"test": accuracy(62, 100, 50)}, FLOWERS, apart).endswith(
            "would have 0.500. It is not shown that the model does better than that one answer "
            f"(p = {p:.2f}, on the same pictures)."
        )

    def test_worse_than_the_baseline_is_said(self) -> None:
        """Of 190 and 10 pictures, as class weights may make it."""
        truth = np.repeat([0, 1], [190, 10])
        said = np.repeat([0, 1, 1], [150, 40, 10])
        apart = {"test": compare_answers(truth, truth * 0, said)}
        text = headline({"test": accuracy(160, 200, 190)}, FLOWERS, apart)
        assert "would have 0.950. The model does worse than that one answer (p < 0.0001" in text

    def test_nearly_all_are_not_all(self) -> None:
        assert "accuracy > 0.999 [0.998, > 0.999]" in told({"test": accuracy(2499, 2500, 800)})

    def test_small_errors_are_not_none(self, make_table: Make) -> None:
        truth = np.linspace(0, 1e-3, 60)
        noise = 1e-5 * np.random.default_rng(0).normal(size=60)
        table = make_table("regression", truth, (truth + noise)[:, None])
        said = headline(evaluate(table), table.task, beside_usual(table))
        assert "off by 7.32e-6 on average: mean absolute error 7.32e-6 [" in said

    def test_of_pictures_that_nobody_knows_it_is_not_said_that_they_taught(self) -> None:
        said = headline({"train": accuracy(99, 100, 30)}, FLOWERS, {}, of_run=False)
        assert "has learned these very pictures" not in said

    def test_no_comparison_no_claim(self) -> None:
        assert headline({"test": accuracy(90, 100, 50)}, FLOWERS, {}).endswith(
            "It is not shown that the model does better than that one answer."
        )

    def test_without_a_test_part_validation_speaks_with_a_reserve(self) -> None:
        metrics = {"train": accuracy(99, 100, 30), "validation": accuracy(80, 100, 30)}
        said = told(metrics)
        assert said.startswith("Of 100 validation pictures 80 were named rightly")
        assert said.endswith(
            "There is no test part. The validation pictures helped to choose the model, so this "
            "number may flatter it."
        )

    def test_training_pictures_say_nothing_about_new_ones(self) -> None:
        assert told({"train": accuracy(99, 100, 30)}).endswith(
            "The model has learned these very pictures, so this number says nothing about new ones."
        )

    def test_no_pictures_no_claim(self) -> None:
        assert told({}) == (
            "There are no labelled pictures to judge the model on: how good it is, is unknown."
        )

    def test_labels(self) -> None:
        metrics = accuracy(37, 50, 15, "accuracy_subset")
        metrics["f1_macro"] = replace(wilson(41, 50), method="wilson-bootstrap")
        assert told({"test": metrics}, Task(kind="multilabel", classes=("a", "b"))) == (
            "Of 50 test pictures 37 had every label right: subset accuracy 0.740 [0.604, 0.847]; "
            "always answering 'daisy' would have 0.300. The mean F1 of the labels is 0.820 [0.692, "
            "0.909]."
        )

    def test_numbers(self, make_table: Make) -> None:
        rng = np.random.default_rng(0)
        truth = rng.normal(size=80) * 20 + 100
        table = make_table("regression", truth, (truth + rng.normal(size=80))[:, None])
        taught = np.array([90.0, 110.0])
        metrics = evaluate(table, training_truth=taught)
        own = metrics["test"]
        mae, usual, r2 = own["mae"], own["mean_baseline_mae"], own["r2"]
        assert headline(metrics, table.task, beside_usual(table, training_truth=taught)) == (
            f"On 80 test pictures the answers are off by {mae.value:.3f} on average: mean absolute "
            f"error {mae.value:.3f} [{mae.low:.3f}, {mae.high:.3f}]; always answering the "
            f"mean (100) would be off by {usual.value:.3f}. Of the variance 100% is explained: R² "
            f"{r2.value:.3f} [{r2.low:.3f}, {r2.high:.3f}]."
        )

    def test_one_number_has_no_interval(self, make_table: Make) -> None:
        table = make_table("regression", [3.0], [[2.0]])
        said = headline(evaluate(table), table.task, beside_usual(table))
        assert said == (
            "On 1 test picture the answers are off by 1.000 on average: mean absolute error 1.000 "
            "(no interval from so few pictures); always answering the mean of this part itself (3) "
            "would be off by 0.000. It is not shown that the model does better than that "
            "one answer. 1 picture is few."
        )
