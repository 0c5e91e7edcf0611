"""What a naive split would have claimed: planted bursts, and groups that mean nothing."""

import dataclasses
import json

import numpy as np
import pytest
from tests.insight.clouds import clouds, evidence_of

from saccade.data.task import Task
from saccade.insight import naive_split
from saccade.insight.evidence import Evidence, NotPossible

TWO = Task(kind="binary", classes=("a", "b"))


def bursts(num: int = 400, *, of: int = 5, alike: float = 3.0, apart: float = 0.8) -> Evidence:
    """Return pictures in bursts: each like the others of its own, and a little like its class."""
    rng = np.random.default_rng(0)
    burst = np.arange(num) // of
    classes = burst % 2
    own = alike * rng.normal(size=(num // of, 150))
    features = own[burst] + rng.normal(size=(num, 150))
    features[:, 0] += apart * (2 * classes - 1)
    names = [f"burst {number}" for number in burst]
    parts = [("test", "validation")[n % 7] if n % 7 < 2 else "train" for n in burst]
    return evidence_of(features.astype(np.float32), classes, TWO, groups=names, parts=parts)


def test_a_naive_split_of_bursts_claims_more_and_the_difference_is_beyond_chance() -> None:
    found = naive_split.study(bursts(), {})
    assert json.loads(json.dumps(found)) == found
    assert found["naive"]["value"] > 0.9
    assert found["grouped"]["value"] < 0.8
    assert found["difference"]["low"] > 0.1
    assert found["difference"]["value"] == pytest.approx(
        found["naive"]["value"] - found["grouped"]["value"]
    )
    assert found["n"] == found["difference"]["n"] == 340
    assert (found["num_groups"], found["num_tied"]) == (68, 340)


def test_groups_that_mean_nothing_make_no_difference() -> None:
    features, classes = clouds(400, apart=1.5)
    order = np.random.default_rng(0).permutation(400)
    names = [f"group {order[row] // 5}" for row in range(400)]
    found = naive_split.study(evidence_of(features, classes, TWO, groups=names), {})
    assert found["difference"]["low"] < 0 < found["difference"]["high"]


def test_the_test_part_is_not_touched() -> None:
    evidence = bursts()
    features, targets = evidence.features.copy(), evidence.targets.copy()
    rows = evidence.rows("test")
    features[rows], targets[rows] = np.nan, -1
    spoilt = dataclasses.replace(evidence, features_ND=features, targets=targets)
    assert naive_split.study(spoilt, {}) == naive_split.study(evidence, {})


def test_the_interval_of_a_grouped_score_knows_of_the_groups() -> None:
    found = naive_split.study(bursts(), {})
    assert "of 68 groups" in found["grouped"]["method"]
    assert "of 68 groups" in found["difference"]["method"]


def test_without_groups_or_with_few_it_says_why_there_is_nothing_to_say() -> None:
    features, classes = clouds(200)
    with pytest.raises(NotPossible, match="no pictures belong together"):
        naive_split.study(evidence_of(features, classes, TWO), {})
    few = ["twins"] * 2 + [""] * 198
    with pytest.raises(NotPossible, match=r"^1 group of two pictures or more"):
        naive_split.study(
            evidence_of(features, classes, TWO, groups=few, parts=["train"] * 200), {}
        )
    with pytest.raises(NotPossible, match="no features of a pretrained network"):
        naive_split.study(evidence_of(None, classes, TWO, groups=["a", "a"] * 100), {})


def test_a_class_that_is_one_group_cannot_be_learned_and_judged() -> None:
    features, classes = clouds(200, num_classes=2)
    names = ["all of b" if label else f"pair {row // 4}" for row, label in enumerate(classes)]
    evidence = evidence_of(features, classes, TWO, groups=names, parts=["train"] * 200)
    with pytest.raises(NotPossible, match="all pictures of 'b' belong together"):
        naive_split.study(evidence, {})
