"""The learning curve of a run: on digits, which everybody has, and on made-up clouds."""

import dataclasses
import itertools
import json

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from tests.insight.clouds import DIGITS, FEW_DIGITS, clouds, digits, evidence_of

from saccade.data.task import Task
from saccade.insight import learning_curve, subsets
from saccade.insight.evidence import Evidence, NotPossible
from saccade.insight.pool import KnownPenalty, draw_pool, known_penalty
from saccade.training.nested_heads import growing_heads, prepare


@pytest.fixture(scope="module")
def of_digits() -> Evidence:
    return evidence_of(*digits(), FEW_DIGITS)


@pytest.fixture(scope="module")
def found(of_digits: Evidence) -> dict:
    return learning_curve.study(of_digits, {})


def test_what_is_found_is_json_and_every_number_has_its_n(found: dict) -> None:
    assert json.loads(json.dumps(found)) == found
    for one in (found["now"], *(own["gain"] for own in found["gains"] if own["gain"])):
        assert one["n"] == found["num_judged"]
        assert one["low"] <= one["value"] <= one["high"]


def test_every_picture_that_is_not_of_the_test_part_is_judged_at_every_size(
    of_digits: Evidence, found: dict
) -> None:
    assert found["num_judged"] == len(of_digits.rows("train", "validation"))
    assert [own["score"]["n"] for own in found["points"]] == [found["num_judged"]] * 6
    assert [own["num_subsets"] for own in found["points"]] == [2, 2, 2, 2, 2, 1]


def test_more_pictures_are_better_and_the_curve_goes_through_what_was_measured(
    found: dict,
) -> None:
    scores = [own["score"]["value"] for own in found["points"]]
    assert scores[0] < scores[2] < scores[-1]
    assert found["now"]["value"] == pytest.approx(scores[-1], abs=0.03)
    assert [own["gain"] is not None for own in found["gains"]] == [True, True, False]


def test_the_test_part_is_not_touched(of_digits: Evidence, found: dict) -> None:
    rows = of_digits.rows("test")
    features, targets = of_digits.features.copy(), of_digits.targets.copy()
    features[rows], targets[rows] = np.nan, -1
    spoilt = dataclasses.replace(of_digits, features_ND=features, targets=targets)
    assert learning_curve.study(spoilt, {}) == found
    features[of_digits.rows("validation")] *= 0.5  # a negative control: other pictures matter
    assert learning_curve.study(spoilt, {}) != found


def test_without_a_history_the_penalty_is_chosen_on_the_training_part(of_digits: Evidence) -> None:
    rows = of_digits.rows("validation", "test")
    features = of_digits.features.copy()
    features[rows] = np.nan
    blind = dataclasses.replace(of_digits, features_ND=features, history=())
    assert known_penalty(blind).value in {0.01, 0.1, 1.0, 10.0}
    assert known_penalty(of_digits).at(10) == 0.01  # that of the run's own head


def test_the_heads_are_those_of_scikit_learn() -> None:
    x, y = digits(400, num_classes=10)
    ground = prepare(x, y, task=DIGITS)
    order, judged = np.arange(300), np.arange(300, 400)
    logits = growing_heads(ground, order, [100, 300], ground.at(judged), penalties=[0.1, 0.1])
    standard = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0).mean())
    for size, own in zip((100, 300), logits, strict=True):
        oracle = LogisticRegression(C=1 / (0.1 * size), max_iter=5000)
        oracle.fit(standard[:size], y[:size])
        same = own.argmax(axis=1) == oracle.predict(standard[300:])
        assert same.mean() >= 0.98  # solved roughly


def test_other_pictures_are_placed_on_the_same_axes() -> None:
    x, y = digits(120)
    ground = prepare(x, y, task=FEW_DIGITS)
    np.testing.assert_allclose(ground.placed(x[:9]), ground.at(np.arange(9)), atol=1e-6)


def test_a_head_on_a_subset_knows_nothing_of_the_pictures_left_out() -> None:
    """A start from a head that saw more would leak it; so the heads grow."""
    x, y = digits(200)
    other = np.concatenate([y[:50], (y[50:] + 1) % 4])
    judged = np.arange(150, 200)
    first, second = (
        growing_heads(ground, np.arange(150), [50, 150], ground.at(judged), penalties=[0.1, 0.1])
        for ground in (prepare(x, answers, task=FEW_DIGITS) for answers in (y, other))
    )
    np.testing.assert_array_equal(first[0], second[0])
    assert (first[1] != second[1]).any()


def test_a_class_of_few_pictures_is_said_to_be_unclear() -> None:
    x, y = digits(400)
    few = np.flatnonzero(y == 3)[12:]
    kept = np.setdiff1d(np.arange(400), few)
    found = learning_curve.study(evidence_of(x[kept], y[kept], FEW_DIGITS), {})
    enough = {own["name"]: own["enough"] for own in found["classes"]}
    assert enough["3"] is False
    assert sum(enough.values()) == 3


def test_groups_stay_whole_in_every_subset() -> None:
    x, y = clouds(300)
    groups = [f"burst {row // 6}" for row in range(300)]
    evidence = evidence_of(x, y, Task(kind="binary", classes=("a", "b")), groups=groups)
    sample = draw_pool(evidence)
    order = subsets._order(sample, evidence.task, 0, 0, seed=0)
    names = [sample.groups[row] for row in order.tolist()]
    changes = sum(one != other for one, other in itertools.pairwise(names))
    assert changes == len(set(names)) - 1
    found = learning_curve.study(evidence, {})
    assert "of 50 groups" in found["points"][0]["score"]["method"].replace("49", "50")


def test_several_labels_have_a_curve_by_f1_and_numbers_by_their_error() -> None:
    x, y = digits(200)
    labels = np.stack([y % 2 == 0, y > 1], axis=1).astype(np.uint8)
    task = Task(kind="multilabel", classes=("even", "large"))
    found = learning_curve.study(evidence_of(x, labels, task), {})
    assert found["score_name"] == "f1_micro"
    assert {own["name"]: own["score_name"] for own in found["classes"]} == {
        "even": "f1",
        "large": "f1",
    }
    values = x @ np.random.default_rng(0).normal(size=64) + 5.0
    task = Task(
        kind="regression", classes=(), target_mean=float(values.mean()),
        target_std=float(values.std()),
    )  # fmt: skip
    found = learning_curve.study(evidence_of(x, values, task), {})
    assert found["score_name"] == "mae"
    assert found["classes"] == []
    assert found["points"][0]["score"]["value"] > found["points"][-1]["score"]["value"]
    gain = next(own["gain"] for own in found["gains"] if own["more"] == 200)
    assert gain["value"] >= 0


def test_nothing_is_said_from_too_few_pictures_from_scratch_or_out_of_time() -> None:
    x, y = digits(200)
    with pytest.raises(NotPossible, match="no features of a pretrained network"):
        learning_curve.study(evidence_of(None, y, FEW_DIGITS), {})
    with pytest.raises(NotPossible, match="too few for a curve"):
        learning_curve.study(evidence_of(x[:60], y[:60], FEW_DIGITS), {})
    with pytest.raises(NotPossible, match="its time was up"):
        learning_curve.study(evidence_of(x, y, FEW_DIGITS, deadline=0.0), {})


@pytest.mark.slow
def test_held_back_digits_come_true(capsys: pytest.CaptureFixture[str]) -> None:
    """Curves on part of the digits are held against heads on two to four times as many."""
    x, y = digits(1797, num_classes=10)
    sizes = [350, 700, 1400]
    ground = prepare(x, y, task=DIGITS)
    scores = []
    for seed in range(15):
        order = np.random.default_rng(1000 + seed).permutation(1797)
        judged = order[1400:]
        logits = growing_heads(ground, order, sizes, ground.at(judged), penalties=[0.01] * 3)
        scores.append([float((own.argmax(axis=1) == y[judged]).mean()) for own in logits])
    true = dict(zip(sizes, np.mean(scores, axis=0).tolist(), strict=True))
    for share, base in ((0.25, 350), (0.5, 700)):
        for n in (size for size in sizes if size > base):
            score, gain = _held(x, y, share=share, base=base, n=n, true=true)
            with capsys.disabled():
                print(f"\n{share:.0%} of digits, {base} to {n}: score {score:.2f}, gain {gain:.2f}")
            assert score >= 0.85
            assert gain >= 0.85


def _held(
    x: np.ndarray, y: np.ndarray, *, share: float, base: int, n: int, true: dict[int, float]
) -> tuple[float, float]:
    times, right = 20, np.zeros(2)
    for seed in range(times):
        rows = np.random.default_rng(seed).permutation(1797)[: int(1797 * share)]
        evidence = evidence_of(x[rows], y[rows], DIGITS, parts=["train"] * len(rows))
        evidence = dataclasses.replace(evidence, recipe=evidence.recipe.replace(seed=seed))
        found = subsets.judge_subsets(
            evidence, draw_pool(evidence), penalty=KnownPenalty(value=0.01, num=n)
        )
        curve = learning_curve.pooled_curve(found, seed=seed)
        gain = curve.gain(base, more=n - base)
        score = curve.at(n)
        assert gain is not None
        right += [
            score.low <= true[n] <= score.high,
            gain.low <= true[n] - true[base] <= gain.high,
        ]
    return tuple(right / times)  # type: ignore[return-value]


def test_what_was_never_measured_nearby_is_not_told(of_digits: Evidence) -> None:
    """Ten times as many training pictures as the largest head learned from."""
    few = draw_pool(of_digits, num=200)
    found = learning_curve.judge_subsets(of_digits, few, penalty=known_penalty(of_digits))
    curve = learning_curve.pooled_curve(found, seed=0)
    assert learning_curve._told_of(curve, 10 * curve.sizes[-1]) == curve.sizes[-1]
    assert learning_curve._told_of(curve, 2 * curve.sizes[-1]) == 2 * curve.sizes[-1]


def test_the_classes_that_are_asked_about_are_those_with_the_lowest_scores(
    of_digits: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = learning_curve.study(of_digits, {})["classes"]
    monkeypatch.setattr(learning_curve, "MOST_CLASSES", 2)
    found = learning_curve.study(of_digits, {})
    assert found["classes"] == every[:2]
    assert found["num_classes"] == len(every) == 4


def test_a_penalty_for_many_classes_is_chosen_on_pictures_of_all_of_them() -> None:
    many = Task(kind="multiclass", classes=tuple(f"{k:03}" for k in range(300)))
    targets = np.repeat(np.arange(300), 10)
    order = np.random.default_rng(0).permutation(len(targets))
    features = np.eye(300, dtype=np.float32)[targets][order]
    facts = evidence_of(features, targets[order], many, history=())
    assert known_penalty(facts).num >= 5 * 300
