"""Every point value against scikit-learn, on random tables and on degenerate ones."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st

from saccade.evaluation import resampling
from saccade.evaluation.intervals import TAIL, Estimate
from saccade.evaluation.metrics import confusion_matrix, in_top
from saccade.evaluation.predictions import Predictions
from saccade.evaluation.scores import evaluate

Make = Callable[..., Predictions]
NAN = float("nan")


@pytest.fixture(autouse=True, scope="module")
def few_resamples() -> Iterator[None]:
    """Point values do not depend on the resamples; fewer of them leave time for more cases."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resampling, "RESAMPLES", 100)
        yield


def close(found: Estimate, expected: float) -> bool:
    """Equal to 1e-9, undefined where the other is undefined, and inside its own interval."""
    if np.isnan(expected):
        assert found.method.startswith("undefined: ")
        return bool(np.isnan([found.value, found.low, found.high]).all())
    assert found.value == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert np.isnan(found.low) or found.low <= found.value <= found.high
    return True


@st.composite
def class_tables(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Truth and probabilities: classes may be absent or never predicted, scores may be tied."""
    k, n = draw(st.integers(2, 7)), draw(st.integers(1, 25))
    truth = draw(st.lists(st.integers(0, draw(st.integers(0, k - 1))), min_size=n, max_size=n))
    coarse = st.integers(0, draw(st.sampled_from([0, 3, 1000])))
    points = np.array(draw(st.lists(coarse, min_size=n * k, max_size=n * k))).reshape(n, k)
    return np.array(truth), (points + 1) / (points + 1).sum(axis=1, keepdims=True)


@pytest.mark.parametrize("cases", [30, pytest.param(200, marks=pytest.mark.slow)])  # row E5
def test_single_label_metrics_agree_with_scikit_learn(make_table: Make, cases: int) -> None:
    @given(class_tables())
    @settings(max_examples=cases, deadline=None)
    def agree(table: tuple[np.ndarray, np.ndarray]) -> None:
        truth, scores = table
        k = scores.shape[1]
        predictions = make_table("binary" if k == 2 else "multiclass", truth, scores)
        said = scores.argmax(axis=1)
        found = evaluate(predictions)["test"]
        assert close(found["accuracy"], sk.accuracy_score(truth, said))
        for name, one in single_label_expectations(truth, said, k).items():
            assert close(found[name], one), name
        for name, one in ranking_expectations(truth, scores).items():
            assert close(found[name], one), name
        if k > 2 or len(truth) > 1:
            assert close(found["log_loss"], sk.log_loss(truth, scores, labels=range(k)))
        majority = np.bincount(truth).argmax()
        assert close(found["majority_accuracy"], float((truth == majority).mean()))

    agree()


def single_label_expectations(truth: np.ndarray, said: np.ndarray, k: int) -> dict[str, float]:
    labels = list(range(k))
    expected = {}
    for name, score in (
        ("precision", sk.precision_score),
        ("recall", sk.recall_score),
        ("f1", sk.f1_score),
    ):
        each = score(truth, said, labels=labels, average=None, zero_division=np.nan)
        for average in ("macro", "micro", "weighted"):
            expected[f"{name}_{average}"] = score(
                truth, said, labels=labels, average=average, zero_division=np.nan
            )
        # where every weight is on undefined classes scikit-learn falls back to the plain mean
        if np.bincount(truth, minlength=k)[~np.isnan(each)].sum() == 0:
            expected[f"{name}_weighted"] = NAN
        expected |= {f"{name}[c{c}]": value for c, value in enumerate(each)}
    expected["balanced_accuracy"] = expected["recall_macro"]
    # specificity is the recall of "not this class"; scikit-learn has no name for it
    negative = sk.multilabel_confusion_matrix(truth, said, labels=labels)[:, 0]
    with np.errstate(invalid="ignore"):
        each = negative[:, 0] / negative.sum(axis=1)
    expected |= {f"specificity[c{c}]": value for c, value in enumerate(each)}
    support = np.bincount(truth, minlength=k)
    known = ~np.isnan(each)
    expected["specificity_macro"] = each[known].mean()
    expected["specificity_micro"] = negative[:, 0].sum() / negative.sum()
    weight = support[known].sum()
    expected["specificity_weighted"] = (each * support)[known].sum() / weight if weight else NAN
    return expected


def ranking_expectations(truth: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    k = scores.shape[1]
    areas, precisions = np.full(k, NAN), np.full(k, NAN)
    for c in range(k):
        if (truth == c).any():
            precisions[c] = sk.average_precision_score(truth == c, scores[:, c])
            if not (truth == c).all():
                areas[c] = sk.roc_auc_score(truth == c, scores[:, c])
    known = ~np.isnan(areas)
    mean = areas[known].mean() if known.any() else NAN
    expected = {"average_precision_macro": np.nanmean(precisions)}
    expected |= {f"average_precision[c{c}]": value for c, value in enumerate(precisions)}
    if k == 2:
        return expected | {"roc_auc": areas[1]}
    expected |= {f"roc_auc[c{c}]": value for c, value in enumerate(areas)}
    return expected | {"roc_auc_ovr_macro": mean}


def test_the_area_of_all_classes_is_scikit_learns_own_average(make_table: Make) -> None:
    rng = np.random.default_rng(0)
    truth, scores = rng.integers(4, size=60), rng.dirichlet(np.ones(4), size=60)
    found = evaluate(make_table("multiclass", truth, scores))["test"]
    assert close(found["roc_auc_ovr_macro"], sk.roc_auc_score(truth, scores, multi_class="ovr"))


@given(st.integers(6, 9), st.integers(1, 30), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_top_5_agrees_with_scikit_learn(make_table: Make, k: int, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, scores = rng.integers(k, size=n), rng.dirichlet(np.ones(k), size=n)
    found = evaluate(make_table("multiclass", truth, scores))["test"]
    expected = sk.top_k_accuracy_score(truth, scores, k=5, labels=range(k))
    assert close(found["top_5_accuracy"], float(expected))


def test_top_1_is_the_accuracy_even_where_scores_are_equal() -> None:
    scores = np.full((6, 6), 1 / 6)
    assert in_top(np.arange(6), scores, k=1).tolist() == [True] + [False] * 5
    assert in_top(np.arange(6), scores, k=5).tolist() == [True] * 5 + [False]


def test_top_5_is_left_out_where_five_answers_are_all_there_are(flowers: Predictions) -> None:
    assert "top_5_accuracy" not in evaluate(flowers)["test"]


@st.composite
def label_tables(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    k, n = draw(st.integers(1, 5)), draw(st.integers(1, 20))
    bits = st.lists(st.integers(0, 1), min_size=n * k, max_size=n * k)
    scores = draw(st.lists(st.integers(0, 8), min_size=n * k, max_size=n * k))
    return np.array(draw(bits)).reshape(n, k), np.array(scores).reshape(n, k) / 8


@given(label_tables())
@settings(max_examples=25, deadline=None)
def test_multilabel_metrics_agree_with_scikit_learn(
    make_table: Make, table: tuple[np.ndarray, np.ndarray]
) -> None:
    truth, scores = table
    said, k = (scores > 0.5).astype(int), truth.shape[1]
    found = evaluate(make_table("multilabel", truth, scores))["test"]
    assert close(found["accuracy_subset"], float((truth == said).all(axis=1).mean()))
    assert close(found["hamming_loss"], float((truth != said).mean()))
    if k == 1:  # scikit-learn takes one column for binary
        return
    for name, score in (
        ("precision", sk.precision_score),
        ("recall", sk.recall_score),
        ("f1", sk.f1_score),
    ):
        each = score(truth, said, average=None, zero_division=np.nan)
        for average in ("macro", "micro", "weighted", "samples"):
            expected = score(truth, said, average=average, zero_division=np.nan)
            if average == "weighted" and truth.sum(axis=0)[~np.isnan(each)].sum() == 0:
                expected = NAN  # scikit-learn falls back to the plain mean here
            assert close(found[f"{name}_{average}"], float(expected)), (name, average)
        for c in range(k):
            assert close(found[f"{name}[c{c}]"], each[c])
    for c in range(k):
        assert close(found[f"accuracy[c{c}]"], sk.accuracy_score(truth[:, c], said[:, c]))
        if 0 < truth[:, c].sum() < len(truth):
            area = sk.roc_auc_score(truth[:, c], scores[:, c])
            assert close(found[f"roc_auc[c{c}]"], float(area))
    losses = [sk.log_loss(truth[:, c], scores[:, c], labels=[0, 1]) for c in range(k)]
    assert close(found["log_loss_macro"], float(np.mean(losses)))


@given(
    st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=1, max_size=30),
    st.floats(0.01, 100),
)
@settings(max_examples=25, deadline=None)
def test_regression_metrics_agree_with_scikit_learn(
    make_table: Make, pairs: list[tuple[int, int]], unit: float
) -> None:
    truth, said = np.array(pairs, float).T * unit
    found = evaluate(make_table("regression", truth, said[:, None]))["test"]
    assert close(found["mae"], sk.mean_absolute_error(truth, said))
    assert close(found["rmse"], sk.root_mean_squared_error(truth, said))
    usual = np.full(len(truth), truth.mean())
    assert close(found["mean_baseline_mae"], sk.mean_absolute_error(truth, usual))
    assert close(found["mean_baseline_rmse"], sk.root_mean_squared_error(truth, usual))
    constant = np.ptp(truth) == 0
    assert close(found["r2"], NAN if constant else sk.r2_score(truth, said))


def test_what_cannot_be_known_is_undefined_and_says_why(make_table: Make) -> None:
    # classes: c0 seen and found, c1 seen and never predicted, c2 predicted and absent, c3 neither
    scores = np.eye(4)[[0, 0, 2]]
    found = evaluate(make_table("multiclass", [0, 0, 1], scores))["test"]
    assert {name: one.method for name, one in found.items() if np.isnan(one.value)} == {
        "precision[c1]": "undefined: never predicted",
        "recall[c2]": "undefined: no picture of this class",
        "precision[c3]": "undefined: never predicted",
        "recall[c3]": "undefined: no picture of this class",
        "f1[c3]": "undefined: neither true nor predicted",
        "roc_auc[c2]": "undefined: every picture or no picture is of this class",
        "roc_auc[c3]": "undefined: every picture or no picture is of this class",
        "average_precision[c2]": "undefined: no picture of this class",
        "average_precision[c3]": "undefined: no picture of this class",
    }
    assert found["recall_macro"].method == "wilson-bootstrap; mean of 2 of 4 classes"
    assert found["precision_macro"].method == "wilson-bootstrap; mean of 2 of 4 classes"
    assert found["f1_macro"].method == "wilson-bootstrap; mean of 3 of 4 classes"


def test_one_picture_is_judged_without_pretending_to_know_more(make_table: Make) -> None:
    found = evaluate(make_table("binary", [1], [[0.3, 0.7]]))["test"]
    # of 1 in 1: Wilson ends at 1 / (1 + 1.96²), the share that such a part has by a chance of 0.21
    assert found["accuracy"].low == pytest.approx(TAIL)
    assert found["accuracy"].high == 1.0
    assert found["log_loss"].value == pytest.approx(-np.log(0.7))
    assert np.isnan(found["log_loss"].low)
    assert found["log_loss"].method == "no interval: one picture"
    assert found["roc_auc"].method.startswith("undefined: ")


def test_no_average_goes_unnamed(make_table: Make, flowers: Predictions) -> None:
    labels = make_table("multilabel", [[0, 1], [1, 1]], [[0.2, 0.9], [0.8, 0.3]])
    for table in (flowers, labels):
        for name in evaluate(table)["test"]:
            assert name not in {"precision", "recall", "f1", "specificity", "average_precision"}


def test_the_confusion_matrix_is_scikit_learns() -> None:
    rng = np.random.default_rng(1)
    truth, said = rng.integers(4, size=(2, 50))
    expected = sk.confusion_matrix(truth, said, labels=range(5))
    assert (confusion_matrix(truth, said, num_classes=5) == expected).all()
