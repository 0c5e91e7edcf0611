"""Differences of two answers on the same pictures: values, intervals, p, and the words for them."""

import math

import numpy as np
import pytest
import sklearn.metrics as sk
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as sm_mcnemar
from tests.evaluation.test_coverage import table

from saccade.data.task import Task
from saccade.evaluation.difference import Difference, corrected, lower_is_better
from saccade.evaluation.intervals import Z
from saccade.evaluation.paired import compare_answers, compare_tables
from saccade.evaluation.predictions import Predictions
from saccade.evaluation.scores import evaluate
from saccade.evaluation.significance import mcnemar

BASELINES = ("majority_", "mean_baseline_")


def rivals(
    n: int, *, signals: tuple[float, float], priors=(0.5, 0.3, 0.2), seed: int = 0, common=0.5
) -> tuple[Predictions, Predictions]:
    """Return two tables whose scores have much in common, as those of two networks have."""
    rng = np.random.default_rng([seed, n])
    k = len(priors)
    task = Task(kind="binary" if k == 2 else "multiclass", classes=tuple(f"c{i}" for i in range(k)))
    truth = rng.choice(k, size=n, p=priors)
    shared = rng.normal(size=(n, k))
    found = []
    for signal in signals:
        logits = np.sqrt(common) * shared + np.sqrt(1 - common) * rng.normal(size=(n, k))
        logits[np.arange(n), truth] += signal
        scores = np.exp(logits - logits.max(axis=1, keepdims=True))
        found.append(table(task, truth, scores / scores.sum(axis=1, keepdims=True)))
    return found[0], found[1]


def labelled(n: int, *, flips: tuple[float, float]) -> tuple[Predictions, Predictions]:
    rng = np.random.default_rng(n)
    task = Task(kind="multilabel", classes=("a", "b", "c"))
    truth = (rng.random((n, 3)) < [0.5, 0.3, 0.2]).astype(np.uint8)
    found = []
    for flip in flips:
        right = rng.random((n, 3)) > flip
        found.append(table(task, truth, np.where(right == (truth == 1), 0.8, 0.1)))
    return found[0], found[1]


def quantities(n: int) -> tuple[Predictions, Predictions]:
    rng = np.random.default_rng(n)
    truth, task = rng.normal(size=n), Task(kind="regression", classes=())
    errors = rng.normal(size=(2, n)) + rng.normal(size=n)
    return tuple(
        table(task, truth, (truth + s * e)[:, None])
        for s, e in zip((0.5, 0.6), errors, strict=True)
    )


TABLES = {
    "three classes": rivals(150, signals=(1.5, 2.0)),
    "two classes": rivals(150, signals=(1.5, 2.0), priors=(0.6, 0.4)),
    "six classes": rivals(200, signals=(1.5, 2.0), priors=(1 / 6,) * 6),
    "labels": labelled(120, flips=(0.3, 0.2)),
    "regression": quantities(90),
}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("grouped", [False, True])
def test_every_metric_of_a_part_can_be_compared_and_the_value_is_the_difference(
    name: str, grouped: bool
) -> None:
    first, second = TABLES[name]
    groups = [f"g{row // 3}" for row in range(len(first))] if grouped else None
    one, other = evaluate(first)["test"], evaluate(second)["test"]
    for metric in one:
        if metric.startswith(BASELINES):
            continue
        found = compare_tables(first, second, metric=metric, groups=groups)
        assert found.value == pytest.approx(other[metric].value - one[metric].value), metric
        assert found.low <= found.value <= found.high, metric
        assert 0 <= found.p <= 1, metric
        assert found.n in {one[metric].n, len(first)}, metric
        assert grouped == ("groups" in found.method), metric


@pytest.mark.parametrize("name", TABLES)
def test_the_other_way_round_everything_has_the_other_sign(name: str) -> None:
    first, second = TABLES[name]
    for metric in ("accuracy", "accuracy_subset", "mae", "r2", "recall[c0]", "roc_auc", "f1_macro"):
        if metric not in evaluate(first)["test"]:
            continue
        there = compare_tables(first, second, metric=metric)
        back = compare_tables(second, first, metric=metric)
        loose = 0.1 if metric == "f1_macro" else 1e-9  # the bootstrap draws anew
        assert back.value == pytest.approx(-there.value)
        assert back.low == pytest.approx(-there.high, rel=loose, abs=1e-9)
        assert back.p == pytest.approx(there.p, rel=5 * loose)


def test_no_metric_is_left_without_an_answer_which_is_better() -> None:
    """Of each error there is, less is better; of everything else more."""
    names = {
        name.partition("[")[0]
        for first, _ in TABLES.values()
        for name in evaluate(first)["test"]
        if not name.startswith(BASELINES)
    }
    errors = {name for name in names if "loss" in name or name in {"mae", "rmse"}}
    assert {name for name in names if lower_is_better(name)} == errors


def test_accuracy_is_mcnemars_test() -> None:
    first, second = TABLES["three classes"]
    right = [own.predicted == own.truth for own in (first, second)]
    cells = [[int((a & b).sum()) for b in (right[1], ~right[1])] for a in (right[0], ~right[0])]
    found = compare_tables(first, second, metric="accuracy")
    assert found.p == pytest.approx(sm_mcnemar(cells, exact=True).pvalue)
    assert found.method == "McNemar exact"
    assert found.more == cells[1][0] - cells[0][1]
    assert found.value == pytest.approx(found.more / 150)


def test_the_recall_of_a_class_is_mcnemars_test_on_its_pictures() -> None:
    first, second = TABLES["three classes"]
    own = first.truth == 1
    a, b = (rival.predicted[own] == 1 for rival in (first, second))
    found = compare_tables(first, second, metric="recall[c1]")
    assert found.p == pytest.approx(mcnemar(int((a & ~b).sum()), int((b & ~a).sum())))
    assert found.n == own.sum()


def test_means_over_pictures_are_students_paired_test() -> None:
    first, second = TABLES["regression"]
    a, b = (np.abs(own.scores[:, 0] - own.truth) for own in (first, second))
    oracle = stats.ttest_rel(b, a)
    found = compare_tables(first, second, metric="mae")
    assert (found.value, found.p) == pytest.approx((float((b - a).mean()), oracle.pvalue))
    interval = oracle.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_with_groups_of_one_size_means_are_students_test_of_the_groups_means() -> None:
    first, second = TABLES["regression"]
    a, b = (
        np.abs(own.scores[:, 0] - own.truth).reshape(-1, 3).mean(axis=1) for own in (first, second)
    )
    groups = [f"g{row // 3}" for row in range(90)]
    found = compare_tables(first, second, metric="mae", groups=groups)
    assert found.p == pytest.approx(stats.ttest_rel(b, a).pvalue)
    assert found.method == "paired t of 30 groups"


def delong(truth: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """Return DeLong's standard error of a difference, pair by pair as in his paper."""
    parts = []
    for scores in (first, second):
        pos, neg = scores[truth == 1], scores[truth == 0]
        wins = (pos[:, None] > neg) + 0.5 * (pos[:, None] == neg)
        parts.append((wins.mean(axis=1), wins.mean(axis=0)))
    over_pos, over_neg = (np.cov(np.stack([p[side] for p in parts])) for side in (0, 1))
    s = over_pos / (truth == 1).sum() + over_neg / (truth == 0).sum()
    return float(np.sqrt(s[0, 0] + s[1, 1] - 2 * s[0, 1]))


def test_the_roc_auc_is_delongs_where_many_pictures_are_far_from_a_perfect_ranking() -> None:
    first, second = rivals(2000, signals=(0.8, 1.1), priors=(0.5, 0.5))
    found = compare_tables(first, second, metric="roc_auc")
    areas = [sk.roc_auc_score(own.truth, own.scores[:, 1]) for own in (first, second)]
    error = delong(first.truth, first.scores[:, 1], second.scores[:, 1])
    assert found.value == pytest.approx(areas[1] - areas[0])
    assert (found.high - found.low) / 2 == pytest.approx(Z * error, rel=0.05)
    assert (found.high - found.low) / 2 >= Z * error * (1 - 1e-3)
    assert found.method == "paired DeLong"


@pytest.mark.parametrize("grouped", [False, True])
def test_two_perfect_rankings_are_not_thought_to_be_equal_everywhere(grouped: bool) -> None:
    truth = np.array([0, 1] * 20)
    scores = np.stack([1 - 0.8 * truth, 0.8 * truth], axis=1)
    perfect = table(Task(kind="binary", classes=("a", "b")), truth, scores)
    groups = [f"g{row // 4}" for row in range(40)] if grouped else None
    for metric in ("roc_auc", "accuracy", "f1_macro", "average_precision_macro"):
        found = compare_tables(perfect, perfect, metric=metric, groups=groups)
        assert found.low < -0.02 < 0 < 0.02 < found.high, metric
        assert found.p == 1


def test_the_bootstraps_error_is_that_of_the_spread_of_many_samples() -> None:
    """The second source: the metric's difference in 80 samples of the same population."""
    values, widths = [], []
    for seed in range(80):
        first, second = rivals(200, signals=(1.5, 2.0), seed=seed)
        f1 = [sk.f1_score(own.truth, own.predicted, average="macro") for own in (first, second)]
        values.append(f1[1] - f1[0])
        if seed < 5:
            found = compare_tables(first, second, metric="f1_macro")
            widths.append((found.high - found.low) / 2 / stats.t.ppf(0.975, 199))
    assert np.mean(widths) == pytest.approx(np.std(values), rel=0.25)


def test_pairs_are_what_makes_it_sharp_negative_control() -> None:
    """Two that are right and wrong on the same pictures, and the same two out of step."""
    first, second = rivals(400, signals=(1.5, 1.8), common=0.95)
    paired = compare_tables(first, second, metric="f1_macro")
    order = np.concatenate(
        [np.random.default_rng(0).permutation(np.flatnonzero(first.truth == k)) for k in range(3)]
    )
    place = np.concatenate([np.flatnonzero(first.truth == k) for k in range(3)])
    shuffled = np.empty_like(order)
    shuffled[place] = order
    loose = compare_tables(first, second.take(shuffled.tolist()), metric="f1_macro")
    assert loose.value == pytest.approx(paired.value)
    assert loose.high - loose.low > 1.5 * (paired.high - paired.low)


def test_rows_of_one_group_are_not_counted_as_independent() -> None:
    """Each picture ten times over: grouped, the interval must be about that of the single ones."""
    first, second = rivals(60, signals=(1.5, 2.2))
    often = np.repeat(np.arange(60), 10).tolist()
    many = first.take(often), second.take(often)
    groups = [f"g{row}" for row in often]
    for metric in ("accuracy", "f1_macro", "log_loss", "roc_auc_ovr_macro"):
        single = compare_tables(first, second, metric=metric)
        grouped = compare_tables(*many, metric=metric, groups=groups)
        wrong = compare_tables(*many, metric=metric)  # the negative control
        width = single.high - single.low
        assert grouped.high - grouped.low == pytest.approx(width, rel=0.35), metric
        assert wrong.high - wrong.low < 0.6 * width, metric


def test_a_recall_is_compared_by_the_groups_that_have_such_a_picture() -> None:
    """A class in 3 of 40 patients has the 2 degrees of freedom of these three."""
    truth = (np.arange(200) < 15).astype(np.int64)
    task, names = Task(kind="binary", classes=("a", "b")), [f"p{row // 5}" for row in range(200)]
    some = np.arange(200) % 4
    first, second = (
        table(task, truth, np.eye(2)[np.where(some < most, 1 - truth, truth)]) for most in (2, 1)
    )
    found = compare_tables(first, second, metric="recall[b]", groups=names)
    alone = compare_tables(
        first.take(range(15)), second.take(range(15)), metric="recall[b]", groups=names[:15]
    )
    assert found == alone
    assert found.method == "t of 3 groups"


def test_of_differences_that_are_all_equal_nothing_is_beyond_chance() -> None:
    """Two pictures, each nearer by 2: the spread of such differences is not known to be 0."""
    truth, first, second = np.array([1.0, 2.0]), np.array([5.0, 6.0]), np.array([3.0, 4.0])
    found = compare_answers(truth, first, second, names=("a", "b"))
    assert (found.value, found.beyond_chance) == (-2.0, False)
    assert np.isnan([found.low, found.high, found.p]).all()
    assert found.sentence == (
        "On the same 2 pictures the mae of b is better (lower) than that of a: −2.000 "
        "(no interval: all differences are equal)."
    )
    thirds = compare_answers(truth, truth + 0.3, truth + 0.1)  # equal but for rounding
    assert np.isnan([thirds.low, thirds.p]).all()


@pytest.mark.parametrize("grouped", [False, True])
def test_answers_that_are_the_same_have_the_same_error(grouped: bool) -> None:
    truth = np.arange(6.0)
    groups = list("aabbcc") if grouped else None
    found = compare_answers(truth, truth + 1, truth + 1, groups=groups, names=("a", "b"))
    assert found.sentence == (
        "On the same 6 pictures b and a have the same mae: 0.000 "
        "(no interval: all differences are equal)."
    )


@pytest.mark.parametrize(
    ("metric", "n"), [("f1_macro", 100), ("log_loss", 100), ("roc_auc_ovr", 100)]
)
def test_intervals_cover_the_true_difference(metric: str, n: int) -> None:
    """The true one is that of 100,000 pictures; a slow test makes the table of docs/compare.md."""
    first, second = rivals(100_000, signals=(1.5, 2.0))
    true = evaluate_only(second, metric) - evaluate_only(first, metric)
    metric += "_macro" * (metric == "roc_auc_ovr")
    found = [
        compare_tables(*rivals(n, signals=(1.5, 2.0), seed=s), metric=metric, seed=s)
        for s in range(1, 51)
    ]
    covered = np.mean([own.low <= true <= own.high for own in found])
    assert covered >= 0.86  # 50 samples at 0.95 fall below once in 100


def evaluate_only(own: Predictions, metric: str) -> float:
    if metric == "log_loss":
        return float(sk.log_loss(own.truth, own.scores))
    if metric == "roc_auc_ovr":
        return float(sk.roc_auc_score(own.truth, own.scores, multi_class="ovr"))
    return float(sk.f1_score(own.truth, own.predicted, average="macro"))


def test_what_is_not_defined_says_why() -> None:
    first, second = rivals(20, signals=(1, 2), priors=(0.999, 0.0005, 0.0005))
    found = compare_tables(first, second, metric="recall[c2]")
    assert math.isnan(found.value)
    assert not found.beyond_chance
    assert found.sentence == (
        "the second and the first cannot be compared by recall[c2]: there is no picture to judge "
        "it by."
    )


def test_a_table_without_scores_has_no_ranking_to_compare() -> None:
    truth = np.array([0, 1, 0, 1])
    task = Task(kind="binary", classes=("a", "b"))
    plain = Predictions(
        task=task, paths=("",) * 4, hashes=("",) * 4, parts=("test",) * 4, truth=truth,
        scores=np.eye(2)[truth], scored=False,
    )  # fmt: skip
    for metric in ("roc_auc", "log_loss"):
        found = compare_tables(plain, plain, metric=metric)
        assert math.isnan(found.value)
        assert found.method == "a table holds answers and no scores"


def test_one_picture_has_no_interval() -> None:
    found = compare_answers(np.array([1.0]), np.array([1.5]), np.array([1.25]))
    assert (found.value, found.n) == (-0.25, 1)
    assert found.sentence == (
        "On one and the same picture the mae of the second is better (lower) than that of the "
        "first: −0.250 (no interval: one picture)."
    )


def answers(only_first: int, only_second: int, n: int = 200) -> tuple[np.ndarray, ...]:
    truth = np.zeros(n, np.int64)
    first, second = truth.copy(), truth.copy()
    second[:only_first] = 1
    first[only_first : only_first + only_second] = 1
    return truth, first, second


@pytest.mark.parametrize(
    ("only_first", "only_second", "words"),
    [
        (2, 11, "On the same 200 pictures B names 9 more rightly than A: +0.045 [+0.011, +0.087], "
                "p = 0.022 (McNemar exact): beyond chance."),
        (11, 2, "On the same 200 pictures B names 9 fewer rightly than A: −0.045 [−0.087, −0.011], "
                "p = 0.022 (McNemar exact): beyond chance."),
        (3, 3, "On the same 200 pictures B names as many rightly as A: 0.000 [−0.030, +0.030], "
               "p = 1 (McNemar exact): not beyond chance."),
    ],
)  # fmt: skip
def test_the_sentence_says_who_names_how_many_more(
    only_first: int, only_second: int, words: str
) -> None:
    found = compare_answers(*answers(only_first, only_second), names=("A", "B"))
    assert found.sentence == words


def test_labels_and_numbers_have_their_own_words() -> None:
    truth = np.array([[0, 1]] * 40, np.uint8)
    found = compare_answers(truth, 1 - truth, truth, names=("A", "B"))
    assert found.sentence.startswith(
        "On the same 40 pictures B has 40 more right than A (accuracy_subset): "
    )
    numbers = np.linspace(0, 1, 30)
    found = compare_answers(
        numbers, numbers + 0.2 * np.sin(np.arange(30.0)), numbers, names=("A", "B")
    )
    assert found.sentence.startswith(
        "On the same 30 pictures the mae of B is better (lower) than that of A: −0.1"
    )
    assert found.second_is_better


def test_several_comparisons_are_corrected_and_say_so() -> None:
    some = [compare_answers(*answers(2, more), names=("A", f"B{more}")) for more in (11, 9, 3)]
    found = corrected(some)
    assert [own.p_corrected for own in found] == pytest.approx(
        [3 * some[0].p, 2 * some[1].p, max(2 * some[1].p, some[2].p)]
    )
    assert found[0].sentence == (
        "On the same 200 pictures B11 names 9 more rightly than A: +0.045 [+0.011, +0.087], "
        "p = 0.022 (McNemar exact); corrected for 3 comparisons p = 0.067: not beyond chance, "
        "though this interval lies beside 0, for of 3 comparisons one is easily so far apart."
    )
    assert [own.beyond_chance for own in some] == [True, False, False]
    assert [own.beyond_chance for own in found] == [False, False, False]


def test_where_interval_and_exact_test_disagree_the_sentence_says_which_decides() -> None:
    found = compare_answers(*answers(0, 4), names=("A", "B"))
    assert found.low > 0
    assert found.p == 0.125
    assert found.sentence.endswith(
        ": not beyond chance, though the interval just lies beside 0: the exact test decides."
    )


def test_what_is_not_defined_is_not_counted_as_a_comparison() -> None:
    first, second = rivals(20, signals=(1, 2), priors=(0.999, 0.0005, 0.0005))
    undefined = compare_tables(first, second, metric="recall[c2]")
    found = corrected([undefined, compare_answers(*answers(2, 11))])
    assert [own.num_compared for own in found] == [1, 1]
    assert "corrected" not in found[1].sentence


@pytest.mark.parametrize("groups", [None, ["a"] * 200])
def test_one_group_has_no_interval(groups: list[str] | None) -> None:
    found = compare_answers(*answers(2, 11), groups=groups)
    assert math.isnan(found.low) == (groups is not None)
    assert found.value == pytest.approx(0.045)


def test_tables_of_other_pictures_are_refused() -> None:
    first, second = rivals(20, signals=(1, 2))
    with pytest.raises(ValueError, match="on the same pictures"):
        compare_tables(first, second.take(range(19)), metric="accuracy")
    with pytest.raises(ValueError, match="the truth of the two tables differs"):
        compare_tables(first, second.take([*range(19, -1, -1)]), metric="accuracy")


def test_an_unknown_metric_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no metric fame"):
        compare_tables(*rivals(20, signals=(1, 2)), metric="fame")


METRICS = [
    "balanced_accuracy", "f1_macro", "precision_macro", "recall[c0]", "precision[c0]", "f1[c0]",
    "log_loss", "AUC", "average_precision_macro",
]  # fmt: skip
POPULATIONS = {
    "2 equal classes, one better": {"priors": (0.5, 0.5), "signals": (2.0, 1.5)},
    "2 equal classes, none better": {"priors": (0.5, 0.5), "signals": (2.0, 2.0)},
    "2 classes, 15 % rare": {"priors": (0.85, 0.15), "signals": (2.5, 2.0)},
    "5 equal classes, very good": {"priors": (0.2,) * 5, "signals": (3.5, 3.0)},
    "5 classes, 40 to 5 %": {"priors": (0.4, 0.3, 0.15, 0.1, 0.05), "signals": (3.0, 2.5)},
    "10 equal classes, one better": {"priors": (0.1,) * 10, "signals": (3.0, 2.5)},
    "10 equal classes, none better": {"priors": (0.1,) * 10, "signals": (3.0, 3.0)},
}


def true_differences(population: dict, metrics: list[str]) -> dict[str, float]:
    first, second = rivals(60_000, **population)
    one, other = evaluate(first)["test"], evaluate(second)["test"]
    return {name: other[name].value - one[name].value for name in metrics}


@pytest.mark.slow
@pytest.mark.parametrize("n", [30, 100, 300])
@pytest.mark.parametrize("name", POPULATIONS)
def test_intervals_of_every_kind_cover_what_they_promise(name: str, n: int) -> None:
    """`pytest -m slow -s tests/evaluation/test_paired.py` prints the table of docs/compare.md."""
    population, samples = POPULATIONS[name], 200
    area = "roc_auc" if len(population["priors"]) == 2 else "roc_auc_ovr_macro"
    metrics = [area if metric == "AUC" else metric for metric in METRICS]
    true = true_differences(population, metrics)
    covered = {metric: [] for metric in metrics}
    for seed in range(1, samples + 1):
        first, second = rivals(n, **population, seed=seed)
        for metric in metrics:
            found = compare_tables(first, second, metric=metric, seed=seed)
            if not math.isnan(found.low):
                covered[metric].append(found.low <= true[metric] <= found.high)
    shares = {metric: float(np.mean(own)) for metric, own in covered.items() if own}
    print(f"\n| {name} | {n} | " + " | ".join(f"{100 * share:.0f}" for share in shares.values()))
    assert {metric: share for metric, share in shares.items() if share < 0.87} == {}


@pytest.mark.parametrize(("n", "together"), [(150, 1), (600, 1), (600, 3)])
def test_the_difference_that_is_said_to_be_visible_is_seen_in_four_of_five(
    n: int, together: int
) -> None:
    """Pairs whose true difference is what an equal pair, disagreeing as often, calls visible."""
    rng = np.random.default_rng(3)

    def asked(lead: float) -> Difference:
        truth = np.zeros(n, np.int64)
        drawn = rng.random(n)
        first = np.where(drawn < 0.1 - lead / 2, 0, 1)  # right alone
        second = np.where((drawn >= 0.1 - lead / 2) & (drawn < 0.2), 0, 1)
        both = drawn >= 0.2
        first[both], second[both] = 0, 0
        found = compare_answers(truth, first, second, names=("a", "b"))
        return corrected([found] * together)[0]

    visible = float(np.median([asked(0.0).detectable for _ in range(100)]))
    seen = [asked(visible).final_p < 0.05 for _ in range(400)]
    half = [asked(visible / 2).final_p < 0.05 for _ in range(400)]
    assert 0.70 < np.mean(seen) < 0.88
    assert np.mean(half) < 0.4


def test_where_there_is_no_verdict_it_is_said_what_would_have_been_seen() -> None:
    near = compare_answers(*answers(10, 14), names=("a", "b"))
    assert near.reach == (
        "That does not show that they are equal: a true difference of "
        f"{near.detectable:.3f} would be seen in about 4 of 5 such comparisons, a smaller one "
        "less often."
    )
    assert 0.06 < near.detectable < 0.09  # 2.8 * sqrt(24 / 200 / 200)
    assert not compare_answers(*answers(2, 30), names=("a", "b")).reach


@pytest.mark.parametrize(("only_first", "only_second", "n"), [(0, 0, 200), (1, 1, 30), (0, 1, 1)])
def test_of_two_that_hardly_disagree_no_visible_difference_is_told(
    only_first: int, only_second: int, n: int
) -> None:
    """The exact test then sees less: 0 of 100 at n = 5, 57 at n = 30 with two disagreements."""
    found = compare_answers(*answers(only_first, only_second, n=n), names=("a", "b"))
    assert math.isnan(found.detectable)
    said = "That does not show that they are equal."
    if not only_first + only_second:
        said = "They are equal: both give the same answers, picture by picture."
    assert found.reach in {"", said}
