"""The solved head, against scikit-learn as the second source."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_digits
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss

from saccade.data.task import Task
from saccade.training import convex
from saccade.training import head as head_module
from saccade.training.head import Head, fit_head, out_of_fold
from saccade.training.probe import group_folds

DIGITS = Task(kind="multiclass", classes=tuple("0123456789"))


def scaled(features: np.ndarray) -> np.ndarray:
    """Return features as the docstring says they are penalised: centred, one common scale."""
    centred = features - features.mean(axis=0)
    return centred / np.sqrt(centred.var(axis=0).mean())


def logits(head: Head, features: np.ndarray) -> np.ndarray:
    return features @ head.weight_KD.T + head.bias_K


@pytest.mark.parametrize("num", [300, 40])  # more pictures than features, and fewer
def test_multinomial_regression_equals_scikit_learn(num: int) -> None:
    x, y = load_digits(return_X_y=True)
    x, y = x[:num], y[:num]
    head = fit_head(x, y, task=DIGITS, seed=0, penalties=[0.01])
    oracle = LogisticRegression(C=1 / (0.01 * num), max_iter=10_000, tol=1e-9).fit(scaled(x), y)
    np.testing.assert_allclose(logits(head, x), oracle.decision_function(scaled(x)), atol=2e-3)


def test_one_neuron_regression_equals_scikit_learn() -> None:
    x, y = load_digits(n_class=2, return_X_y=True)
    task = Task(kind="binary", classes=("0", "1"))
    head = fit_head(x, y, task=task, seed=0, penalties=[0.1])
    oracle = LogisticRegression(C=1 / (0.1 * len(y)), max_iter=10_000, tol=1e-9).fit(scaled(x), y)
    np.testing.assert_allclose(
        logits(head, x)[:, 0], oracle.decision_function(scaled(x)), atol=1e-3
    )


def test_each_label_of_several_has_a_regression_of_its_own() -> None:
    x, y = load_digits(return_X_y=True)
    x, y = x[:400], y[:400]
    labels = np.stack([y % 2 == 0, y > 4], axis=1).astype(np.uint8)
    task = Task(kind="multilabel", classes=("even", "large"))
    head = fit_head(x, labels, task=task, seed=0, penalties=[0.1])
    for k in range(2):
        oracle = LogisticRegression(C=1 / (0.1 * 400), max_iter=10_000, tol=1e-9)
        oracle.fit(scaled(x), labels[:, k])
        np.testing.assert_allclose(
            logits(head, x)[:, k], oracle.decision_function(scaled(x)), atol=1e-3
        )


def test_ridge_regression_equals_scikit_learn() -> None:
    x, y = load_diabetes(return_X_y=True)
    task = Task(kind="regression", classes=(), target_mean=y.mean(), target_std=y.std())
    head = fit_head(x, y, task=task, seed=0, penalties=[0.1])
    oracle = Ridge(alpha=0.1 * len(y)).fit(scaled(x), y)
    np.testing.assert_allclose(
        task.scores(logits(head, x))[:, 0], oracle.predict(scaled(x)), rtol=1e-4
    )


def test_class_weights_equal_repeated_pictures() -> None:
    """A class that weighs double gives the head of a set in which its pictures stand twice.

    Of classes that overlap, one of them rare, so that the weights decide what is answered.
    """
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [30, 120, 150])
    x = rng.normal(size=(300, 6)) + 0.7 * np.eye(6)[y]
    task = Task(kind="multiclass", classes=("0", "1", "2"))
    weights = np.array([4.0, 1.0, 1.0])
    head = fit_head(x, y, task=task, seed=0, penalties=[0.01], class_weights=weights)
    row_weights = weights[y] / weights[y].mean()
    oracle = LogisticRegression(C=1 / (0.01 * len(y)), max_iter=10_000, tol=1e-10)
    oracle.fit(scaled(x), y, sample_weight=row_weights)
    shares = task.scores(logits(head, x))
    np.testing.assert_allclose(shares, oracle.predict_proba(scaled(x)), atol=1e-3)
    alone = fit_head(x, y, task=task, seed=0, penalties=[0.01])  # negative control
    assert np.abs(task.scores(logits(alone, x)) - shares).max() > 0.1


def test_the_penalty_is_the_one_with_the_least_cross_validated_loss() -> None:
    x, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(x))  # as they stand, neighbours were written by the same hand
    x, y = x[order], y[order]
    noisy = np.concatenate([x, rng.normal(0, 5, (len(x), 200))], axis=1)
    head = fit_head(noisy[:300], y[:300], task=DIGITS, seed=0)
    losses = dict(head.candidates)
    assert losses[head.penalty] == min(losses.values())

    def held_out_loss(own: Head) -> float:
        return float(log_loss(y[300:], DIGITS.scores(logits(own, noisy[300:]))))

    fixed = [
        held_out_loss(fit_head(noisy[:300], y[:300], task=DIGITS, seed=0, penalties=[penalty]))
        for penalty in (100.0, 1.0, 0.01, 0.0001)
    ]
    assert held_out_loss(head) < 1.05 * min(fixed) < 0.5 * max(fixed)


def test_the_same_seed_gives_the_same_head_to_the_last_bit() -> None:
    x, y = load_digits(return_X_y=True)
    first, second = (fit_head(x[:200], y[:200], task=DIGITS, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.weight_KD, second.weight_KD)


def test_a_class_of_which_nothing_was_seen_and_constant_features_do_no_harm() -> None:
    x = np.concatenate([np.ones((8, 3)), np.arange(8)[:, None]], axis=1)
    y = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    task = Task(kind="multiclass", classes=("a", "b", "never"))
    head = fit_head(x, y, task=task, seed=0)
    assert np.isfinite(head.weight_KD).all()
    assert (logits(head, x).argmax(axis=1) == y).all()


def probabilities(logits_NK: np.ndarray) -> np.ndarray:
    exponents = np.exp(logits_NK - logits_NK.max(axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True)


def test_out_of_fold_logits_are_those_of_heads_fitted_on_the_other_folds() -> None:
    x, y = load_digits(return_X_y=True)
    x, y, folds = x[:200], y[:200], np.arange(200) % 5
    found = out_of_fold(x, y, folds, task=DIGITS, penalties=[0.1])
    standard = scaled(x)  # the scale knows no labels, so it may be that of all pictures
    expected = np.empty((200, 10))
    for fold in range(5):
        own, held = folds != fold, folds == fold
        oracle = LogisticRegression(C=1 / (0.1 * own.sum()), max_iter=10_000, tol=1e-9)
        expected[held] = oracle.fit(standard[own], y[own]).predict_proba(standard[held])
    # solved roughly, which is enough to compare networks and penalties
    assert np.abs(probabilities(found) - expected).mean() < 0.005
    assert log_loss(y, probabilities(found)) == pytest.approx(log_loss(y, expected), rel=0.02)


def test_out_of_fold_answers_cannot_know_labels_that_mean_nothing() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(200, 400)), rng.integers(0, 2, 200)
    task = Task(kind="binary", classes=("a", "b"))
    held_out = (out_of_fold(x, y, np.arange(200) % 5, task=task)[:, 0] > 0) == y
    head = fit_head(x, y, task=task, seed=0, penalties=[1e-4])
    assert held_out.mean() < 0.65
    assert ((logits(head, x)[:, 0] > 0) == y).all()  # on its own pictures it is always right


def test_out_of_fold_the_penalty_with_the_least_held_out_loss_answers() -> None:
    x, y = load_digits(return_X_y=True)
    x, y, folds = x[:200], y[:200], np.arange(200) % 5
    penalties = (100.0, 1.0, 0.1)
    each = [out_of_fold(x, y, folds, task=DIGITS, penalties=[p]) for p in penalties]
    least = min(log_loss(y, probabilities(own)) for own in each)
    found = out_of_fold(x, y, folds, task=DIGITS, penalties=penalties)
    assert log_loss(y, probabilities(found)) == pytest.approx(least, rel=0.02)
    assert log_loss(y, probabilities(each[0])) > 2 * least


def test_of_very_many_pictures_the_head_is_the_same_but_for_rounding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In float32, in place, and with a penalty that an even share of the pictures chose."""
    x, y = load_digits(return_X_y=True)
    x = x.astype(np.float32)
    before = x.copy()
    whole = fit_head(x, y, task=DIGITS, seed=0)
    monkeypatch.setattr(convex, "MOST_DOUBLE", 1000)
    monkeypatch.setattr(convex, "MOST_EXACT", 1000)
    monkeypatch.setattr(convex, "_PIECE", 100)
    monkeypatch.setattr(head_module, "MOST_TO_CHOOSE_BY", 600)
    half = fit_head(x, y, task=DIGITS, seed=0)
    np.testing.assert_array_equal(x, before)
    assert 0.1 <= half.penalty / whole.penalty <= 10
    alike = fit_head(x, y, task=DIGITS, seed=0, penalties=[whole.penalty])
    expected = logits(whole, x)
    assert np.abs(logits(alike, x) - expected).max() < 0.02 * np.abs(expected).max()
    assert (logits(alike, x).argmax(axis=1) == expected.argmax(axis=1)).mean() > 0.998


def test_an_even_share_has_as_many_of_each_class_as_it_should(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(head_module, "MOST_TO_CHOOSE_BY", 20_000)
    y = np.repeat([0, 1, 2], [30_000, 12_000, 3_000])
    share = y[head_module._even_share(y, 0)]
    assert np.bincount(share).tolist() == [13_000, 5_200, 1_300]
    assert head_module._even_share(y[:20_000], 0) == slice(None)


def test_an_even_share_of_very_many_classes_leaves_none_out() -> None:
    y = np.repeat(np.arange(200), 100)
    counts = np.bincount(y[head_module._even_share(y, 0)], minlength=200)
    assert counts.sum() == 2_500
    assert (counts.min(), counts.max()) == (12, 13)


def test_a_weak_signal_is_not_given_up_where_the_stiffest_penalties_hardly_see_it() -> None:
    """One of four properties tells a little: from λ = 100 to 32 the loss hardly falls."""
    rng = np.random.default_rng(0)
    y = np.arange(2000) % 2
    x = rng.normal(size=(2000, 4))
    x[:, 0] += 0.3 * y
    task = Task(kind="binary", classes=("0", "1"))
    head = fit_head(x, y, task=task, seed=0)
    losses = [loss for _, loss in head.candidates]
    assert losses[0] - losses[1] < head_module.NO_MORE_TO_GAIN
    assert head.penalty < 10
    assert min(losses) < losses[0] - 5 * head_module.NO_MORE_TO_GAIN


@pytest.mark.parametrize(("first", "second"), [(6, 3), (5, 4), (2, 2)])
def test_too_few_pictures_to_choose_a_penalty_are_learned_all_the_same(
    first: int, second: int
) -> None:
    """The stiffest penalty was once taken: it says the most frequent class of every picture."""
    targets = np.array([0] * first + [1] * second)
    features = np.random.default_rng(0).normal(size=(len(targets), 40)) + 4 * targets[:, None]
    task = Task(kind="binary", classes=("a", "b"))
    head = fit_head(features, targets, task=task, seed=0)
    said = (features @ head.weight_KD.T + head.bias_K)[:, 0] > 0
    np.testing.assert_array_equal(said, targets == 1)
    assert head.candidates == ((head.penalty, 0.0),)


def test_features_that_may_be_lost_give_the_same_head_and_only_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(convex, "MOST_DOUBLE", 1_000)
    rng = np.random.default_rng(0)
    targets = np.arange(300) % 2
    many = rng.standard_normal((300, 20), np.float32)
    own, as_given = many.copy(), many.copy()
    task = Task(kind="binary", classes=("no", "yes"))
    kept = fit_head(many, targets, task=task, seed=0)
    lost = fit_head(own, targets, task=task, seed=0, overwrite_features=True)
    np.testing.assert_array_equal(lost.weight_KD, kept.weight_KD)
    np.testing.assert_array_equal(many, as_given)
    assert not np.array_equal(own, many)


def test_of_many_pictures_the_penalty_that_few_chose_is_made_less_by_their_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Chosen by 500 of 6,000 it would hold the head back that the others could teach."""
    rng = np.random.default_rng(0)
    centres = rng.normal(scale=0.2, size=(4, 60))
    y, new_y = np.arange(6_000) % 4, np.arange(8_000) % 4
    x, new_x = (centres[own] + rng.normal(size=(len(own), 60)) for own in (y, new_y))
    task = Task(kind="multiclass", classes=("a", "b", "c", "d"))

    def loss(penalty: float) -> float:
        head = fit_head(x, y, task=task, seed=0, penalties=[penalty])
        return float(log_loss(new_y, task.scores(logits(head, new_x))))

    monkeypatch.setattr(head_module, "MOST_TO_CHOOSE_BY", 500)
    head = fit_head(x, y, task=task, seed=0)
    assert head.share == pytest.approx(500 / 6_000, rel=0.05)
    chosen = min(head.candidates, key=lambda own: own[1])[0]
    assert head.penalty == chosen
    as_chosen = head.penalty / head.share
    assert any(own == pytest.approx(as_chosen) for own in head_module.PENALTIES)
    assert loss(head.penalty) < loss(as_chosen) - 0.01


# --- groups -----------------------------------------------------------------------------------

TWO = Task(kind="binary", classes=("a", "b"))


def bursts(
    num: int, each: int, *, seed: int, apart: float = 1.2
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return features, answers and groups of pictures that are all but equal within a group."""
    rng = np.random.default_rng(seed)
    answers = np.arange(num) % 2
    centres = rng.normal(size=(num, 60))
    centres[:, 0] += apart * answers
    rows = np.repeat(np.arange(num), each)
    features = centres[rows] + rng.normal(scale=0.05, size=(len(rows), 60))
    return features, answers[rows], [f"burst{row}" for row in rows]


def test_the_penalty_is_chosen_for_groups_that_are_new() -> None:
    """A head that was judged by the rest of each burst once knew the bursts by heart."""
    x, y, groups = bursts(40, 15, seed=0)
    new_x, new_y, _ = bursts(400, 1, seed=1)

    def loss(head: Head) -> float:
        return float(log_loss(new_y, TWO.scores(logits(head, new_x))))

    fixed = [fit_head(x, y, task=TWO, seed=0, penalties=[p]) for p in head_module.PENALTIES]
    head = fit_head(x, y, task=TWO, seed=0, folds=group_folds(groups, y, task=TWO, seed=0))
    assert loss(head) < 1.1 * min(map(loss, fixed))
    assert loss(fit_head(x, y, task=TWO, seed=0)) > 1.3 * loss(head)  # negative control


def test_where_no_picture_has_a_group_no_folds_are_dealt_by_group() -> None:
    y = np.arange(100) % 2
    assert group_folds([""] * 100, y, task=TWO, seed=0) is None
    assert group_folds(None, y, task=TWO, seed=0) is None


def test_the_pictures_that_a_penalty_is_chosen_by_keep_groups_whole_and_in_one_fold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(head_module, "MOST_TO_CHOOSE_BY", 200)
    _, y, groups = bursts(60, 10, seed=0)
    folds = group_folds(groups, y, task=TWO, seed=0)
    assert folds is not None
    assert 150 <= (folds.of_N >= 0).sum() <= 250
    assert set(folds.of_N) == {-1, 0, 1, 2, 3, 4}
    for start in range(0, 600, 10):
        assert len(set(folds.of_N[start : start + 10])) == 1
    assert folds.share == (folds.of_N[::10] >= 0).sum() / 60


def test_of_too_few_groups_no_penalty_is_chosen() -> None:
    x, y, groups = bursts(6, 20, seed=0)
    head = fit_head(x, y, task=TWO, seed=0, folds=group_folds(groups, y, task=TWO, seed=0))
    assert head.candidates == ((head.penalty, 0.0),)
    assert head.penalty == pytest.approx(head_module.UNCHOSEN)


def test_a_class_that_is_one_group_has_no_say_for_no_head_could_know_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Judged by heads that never saw it, it would ask for a stiff one, though the others differ."""
    x, y, groups = bursts(40, 15, seed=0, apart=8.0)
    task = Task(kind="multiclass", classes=("a", "b", "one"))
    lone = np.random.default_rng(2).normal(size=(60, 60)) + 1.0
    x, y, groups = np.concatenate([x, lone]), np.append(y, [2] * 60), [*groups, *["lone"] * 60]
    folds = group_folds(groups, y, task=task, seed=0)
    head = fit_head(x, y, task=task, seed=0, folds=folds)
    everyone = np.ones(len(y), np.bool_)  # negative control
    monkeypatch.setattr(head_module, "_can_be_judged", lambda *_: everyone)
    assert fit_head(x, y, task=task, seed=0, folds=folds).penalty > 50 * head.penalty


def test_where_each_class_is_one_group_no_penalty_is_chosen() -> None:
    y = np.repeat(np.arange(10), 12)
    x = np.random.default_rng(0).normal(size=(120, 20)) + np.eye(10, 20)[y] * 5
    folds = group_folds([f"g{own}" for own in y], y, task=DIGITS, seed=0)
    head = fit_head(x, y, task=DIGITS, seed=0, folds=folds)
    assert head.penalty == pytest.approx(head_module.UNCHOSEN)
    assert (logits(head, x).argmax(axis=1) == y).all()
