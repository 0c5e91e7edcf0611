"""Confident learning against cleanlab on the same probabilities, with errors that were planted.

The oracle is cleanlab 2.9 (Apache-2.0), its number of issues, joint, noise matrix and scores.
"""

import cleanlab.count
import cleanlab.rank
import numpy as np
import pytest
from scipy.stats import median_abs_deviation
from sklearn.metrics import roc_auc_score
from tests.evaluation.planted_labels import NUM_CLASSES, cloud, plant, probed

from saccade.evaluation.intervals import grouping
from saccade.evaluation.suspects import (
    HARD,
    error_share,
    most_contradicted,
    robust_z,
    self_confidence,
    suspect_labels,
)

PLANTED = [(share, kind) for share in (0.05, 0.1, 0.2) for kind in ("symmetric", "pairwise")]


@pytest.fixture(scope="module", params=PLANTED, ids=str)
def planted(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Labels, out-of-fold probabilities, which labels are wrong, and the share of these."""
    share, kind = request.param
    features_ND, truth_N = cloud()
    labels_N, wrong_N = plant(truth_N, share, kind, num_classes=NUM_CLASSES, seed=1)
    return labels_N, probed(features_ND, labels_N, num_classes=NUM_CLASSES), wrong_N, share


def precision(quality_N: np.ndarray, wrong_N: np.ndarray, k: int) -> float:
    return float(wrong_N[np.argsort(quality_N, kind="stable")[:k]].mean())


def test_planted_errors_are_found_as_well_as_cleanlab_finds_them(planted) -> None:
    """Row A13: precision at k and AUROC within 0.01 on the same probabilities."""
    labels_N, probabilities_NK, wrong_N, _ = planted
    own = suspect_labels(labels_N, probabilities_NK).quality_N
    theirs = cleanlab.rank.get_label_quality_scores(
        labels_N, probabilities_NK, method="normalized_margin"
    )
    for k in (10, 30, int(wrong_N.sum()), 100):
        assert precision(own, wrong_N, k) == pytest.approx(precision(theirs, wrong_N, k), abs=0.01)
    area = roc_auc_score(wrong_N, -own)
    assert area == pytest.approx(roc_auc_score(wrong_N, -theirs), abs=0.01)
    assert area > 0.95
    np.testing.assert_allclose(own, theirs, atol=1e-12)


def test_scores_that_look_at_other_pictures_labels_would_not_pass_for_cleanlabs(planted) -> None:
    """The negative control of row A13: what it compares does depend on the labels."""
    labels_N, probabilities_NK, wrong_N, _ = planted
    shuffled = np.random.default_rng(0).permutation(labels_N)
    own = suspect_labels(shuffled, probabilities_NK).quality_N
    assert roc_auc_score(wrong_N, -own) < 0.7
    assert precision(own, wrong_N, int(wrong_N.sum())) < 0.4


def test_the_probability_of_the_label_alone_is_cleanlabs_self_confidence(planted) -> None:
    labels_N, probabilities_NK, _, _ = planted
    theirs = cleanlab.rank.get_label_quality_scores(
        labels_N, probabilities_NK, method="self_confidence"
    )
    np.testing.assert_allclose(self_confidence(labels_N, probabilities_NK), theirs, atol=1e-12)


def test_thresholds_joint_and_noise_are_those_of_cleanlab(planted) -> None:
    """cleanlab rounds the joint's counts to whole pictures, so it differs by half a picture."""
    labels_N, probabilities_NK, _, _ = planted
    own = suspect_labels(labels_N, probabilities_NK)
    np.testing.assert_allclose(
        own.thresholds_K,
        cleanlab.count.get_confident_thresholds(labels_N, probabilities_NK),
        atol=1e-12,
    )
    theirs = cleanlab.count.estimate_joint(labels_N, probabilities_NK)
    np.testing.assert_allclose(own.joint_KK, theirs, atol=1 / len(labels_N))
    _, noise_KK, _ = cleanlab.count.estimate_latent(
        confident_joint=cleanlab.count.compute_confident_joint(labels_N, probabilities_NK),
        labels=labels_N,
    )
    np.testing.assert_allclose(own.noise_KK, noise_KK, atol=0.01)
    assert own.joint_KK.sum() == pytest.approx(1)


def test_on_two_hundred_random_cases_scores_and_thresholds_are_those_of_cleanlab() -> None:
    """Row E5: few pictures, up to nine classes, sure and unsure networks."""
    for case in range(200):
        rng = np.random.default_rng(case)
        num_classes = int(rng.integers(2, 10))
        labels_N = rng.permutation(np.resize(np.arange(num_classes), rng.integers(20, 80)))
        logits_NK = rng.normal(0, rng.uniform(0.3, 6), (len(labels_N), num_classes))
        logits_NK[np.arange(len(labels_N)), labels_N] += rng.uniform(0, 4)
        probabilities_NK = np.exp(logits_NK - logits_NK.max(axis=1, keepdims=True))
        probabilities_NK /= probabilities_NK.sum(axis=1, keepdims=True)
        own = suspect_labels(labels_N, probabilities_NK)
        theirs = cleanlab.rank.get_label_quality_scores(
            labels_N, probabilities_NK, method="normalized_margin"
        )
        np.testing.assert_allclose(own.quality_N, theirs, atol=1e-6)
        thresholds = cleanlab.count.get_confident_thresholds(labels_N, probabilities_NK)
        np.testing.assert_allclose(own.thresholds_K, thresholds, atol=1e-6)


def test_as_many_are_accused_as_cleanlab_counts_issues(planted) -> None:
    labels_N, probabilities_NK, _, _ = planted
    own = suspect_labels(labels_N, probabilities_NK)
    theirs = cleanlab.count.num_label_issues(labels_N, probabilities_NK)
    assert abs(int(own.is_suspect_N.sum()) - theirs) <= 0.01 * len(labels_N)


def test_the_interval_of_the_share_of_errors_holds_what_was_planted(planted) -> None:
    labels_N, probabilities_NK, _, share = planted
    found = error_share(
        suspect_labels(labels_N, probabilities_NK), grouping(None, num_rows=len(labels_N))
    )
    assert found.low <= share <= found.high
    assert found.value == pytest.approx(share, abs=0.4 * share)
    assert found.n == len(labels_N)


def test_labels_that_are_all_right_may_all_be_right() -> None:
    features_ND, truth_N = cloud()
    own = suspect_labels(truth_N, probed(features_ND, truth_N, num_classes=NUM_CLASSES))
    found = error_share(own, grouping(None, num_rows=len(truth_N)))
    assert own.is_suspect_N.mean() <= HARD
    assert found.low == 0
    assert found.high < 0.05


def test_pictures_that_belong_together_widen_the_interval() -> None:
    features_ND, truth_N = cloud(300)
    labels_N, _ = plant(truth_N, 0.2, "symmetric", num_classes=NUM_CLASSES, seed=1)
    once = suspect_labels(labels_N, probed(features_ND, labels_N, num_classes=NUM_CLASSES))
    alone = error_share(once, grouping(None, num_rows=300))
    order = np.argsort(once.is_suspect_N)  # a burst is all wrong or all right
    names = [""] * 300
    for place, row in enumerate(order.tolist()):
        names[row] = f"burst {place // 10}"
    together = error_share(once, grouping(names, num_rows=300))
    assert together.high - together.low > 1.3 * (alone.high - alone.low)
    assert together.method.endswith("of 30 groups")


def test_a_class_that_is_nobodys_label_is_never_believed() -> None:
    """As in cleanlab: no average can be taken of no pictures."""
    labels_N = np.array([0, 0, 1, 1])
    probabilities_NK = np.array([[0.1, 0.1, 0.8], [0.6, 0.2, 0.2], [0.2, 0.6, 0.2], [0, 0.5, 0.5]])
    own = suspect_labels(labels_N, probabilities_NK)
    assert own.thresholds_K[2] == np.inf
    assert 2 not in own.likelier_N
    assert not own.is_suspect_N.any()


def test_of_the_classes_that_reach_their_threshold_the_likeliest_is_believed() -> None:
    """The paper's rule: class 2, though likeliest of all, does not reach its own 0.95."""
    probabilities_NK = np.array(
        [[0.30, 0.30, 0.40], [0.2, 0.7, 0.1], [0.25, 0.15, 0.6], [0.01, 0.04, 0.95]]
    )
    own = suspect_labels(np.array([0, 1, 0, 2]), probabilities_NK)
    np.testing.assert_allclose(own.thresholds_K, [0.275, 0.7, 0.95])
    assert own.likelier_N.tolist() == [0, 1, -1, 2]


def test_a_probability_that_is_its_threshold_but_for_rounding_reaches_it() -> None:
    labels_N = np.array([0, 0, 0, 1, 1, 1])
    probabilities_NK = np.array([[0.8, 0.2]] * 3 + [[0.2, 0.8]] * 3)
    assert sum([0.8] * 3) / 3 > 0.8
    assert suspect_labels(labels_N, probabilities_NK).likelier_N.tolist() == labels_N.tolist()


def test_the_label_that_is_contradicted_most_is_counted_among_its_own_pictures() -> None:
    """One of three 0s, two of five 1s; nothing is counted of a label that nobody has."""
    labels_N = np.array([0, 0, 0, 1, 1, 1, 1, 1])
    quality_N = np.array([0.4, 0.5, 0.9, 0.1, 0.2, 0.8, 0.9, 0.7])
    assert most_contradicted(labels_N, quality_N) == (1, 2, 5)
    assert most_contradicted(labels_N[:3], quality_N[:3]) == (0, 1, 3)


def test_no_pictures_have_no_share() -> None:
    own = suspect_labels(np.zeros(0, np.int64), np.zeros((0, 3)))
    assert np.isnan(error_share(own, grouping(None, num_rows=0)).value)


def test_a_far_number_is_measured_in_robust_deviations() -> None:
    """scipy's median absolute deviation, scaled to the normal, is the second source."""
    errors_N = np.random.default_rng(0).normal(3, 2, 200)
    errors_N[:5] = 500
    spread = median_abs_deviation(errors_N, scale="normal")
    wanted = (errors_N - np.median(errors_N)) / spread
    np.testing.assert_allclose(robust_z(errors_N), wanted, rtol=1e-4)
    plain = (errors_N - errors_N.mean()) / errors_N.std()
    assert np.abs(plain).max() < 7 < 100 < robust_z(errors_N).max()  # they would hide themselves


def test_numbers_that_are_mostly_equal_still_have_far_ones() -> None:
    errors_N = np.array([0.0] * 8 + [0.1, 40.0])
    assert robust_z(errors_N)[-1] > 5
    assert (robust_z(np.zeros(9)) == 0).all()
