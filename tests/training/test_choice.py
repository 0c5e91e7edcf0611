"""The rule that chooses among probed networks: the least costly of those not surely worse."""

import numpy as np
import pytest
import scipy.stats
from statsmodels.stats.multitest import multipletests

from saccade.evaluation.intervals import wilson
from saccade.training.choice import Probed, choose
from saccade.training.probe import Probe


def network(name: str, correct: int, seconds: float, *, noise: int = 0, size: int = 10) -> Probed:
    """Return a network whose losses of 100 pictures are what its right answers say, and noise."""
    wrong = np.arange(100) >= correct
    losses = np.where(wrong, 2.0, 0.1) + np.random.default_rng(noise).normal(0, 0.3, 100)
    probe = Probe(
        score=wilson(correct, 100), score_name="accuracy", losses_N=losses, images_per_second=1.0
    )
    return Probed(name=name, probe=probe, cost_seconds=seconds, num_parameters=size)


def test_a_network_that_is_surely_better_is_taken_whatever_it_costs() -> None:
    choice = choose([network("small", 60, 5), network("large", 90, 100)])
    assert choice.place == 1
    assert choice.whys == (
        "surely worse than large: loss of the same pictures +0.570, one-sided p < 0.001",
        "the best, and surely so",
    )


def test_of_those_not_surely_worse_the_least_costly_is_taken() -> None:
    choice = choose([network("small", 89, 5, noise=1), network("large", 90, 100, noise=2)])
    assert choice.place == 0
    assert choice.whys == (
        "not surely worse than large, and quicker: 5.0 s for all pictures instead of 100.0 s",
        "not surely better, and slower: 100.0 s for all pictures instead of 5.0 s",
    )


@pytest.mark.parametrize(("first", "second"), [(40.0, 50.0), (0.3, 2.2)])
def test_costs_that_hardly_differ_do_not_decide(first: float, second: float) -> None:
    choice = choose([network("a", 89, first, noise=1), network("b", 90, second, noise=2)])
    assert choice.place == 1
    assert choice.whys[1] == "the best, and none that may be as good is much quicker"


def test_a_cheap_network_that_is_surely_worse_does_not_set_the_price() -> None:
    few = [network("cheap", 40, 1), network("mean", 89, 20, noise=1), network("dear", 90, 24)]
    assert choose(few).place == 2  # 24 is not much more than 20; 1 does not count


def test_equal_scores_are_told_apart_by_the_loss_and_then_by_the_size() -> None:
    same = network("a", 90, 5, size=9), network("b", 90, 5, size=8)
    assert choose(same).place == 1
    assert choose([same[0], same[0]]).place == 0


def test_how_far_each_is_behind_the_best_is_paired_and_corrected_for_being_several() -> None:
    some = [network("a", 80, 5, noise=1), network("best", 95, 5, noise=2), network("c", 90, 5)]
    choice = choose(some)
    losses = [one.probe.losses_N for one in some]
    tests = [scipy.stats.ttest_rel(losses[place], losses[1]) for place in (0, 2)]
    corrected = multipletests([own.pvalue for own in tests], method="holm")[1]
    assert choice.behind[1] is None
    for own, wanted, p in zip((choice.behind[0], choice.behind[2]), tests, corrected, strict=True):
        assert own is not None
        between = wanted.confidence_interval(0.95)
        assert (own.low, own.high) == pytest.approx((between.low, between.high))
        assert own.final_p == pytest.approx(p)
        assert own.n == 100


def test_of_too_few_pictures_no_interval_is_told_and_no_p_below_one() -> None:
    few = [
        Probed(
            name=str(place),
            probe=Probe(
                score=wilson(4, 5), score_name="accuracy", losses_N=np.full(5, 1.0 + place),
                images_per_second=1.0,
            ),
            cost_seconds=1,
            num_parameters=1,
        )
        for place in range(2)
    ]  # fmt: skip
    (behind,) = [own for own in choose(few).behind if own is not None]
    assert (behind.value, behind.low, behind.high) == (1.0, -np.inf, np.inf)
    assert behind.final_p == 1.0


def test_a_network_that_says_the_same_is_not_behind() -> None:
    """With no difference there is no spread either; its p was once 0."""
    same = network("a", 90, 5)
    (behind,) = [own for own in choose([same, same]).behind if own is not None]
    assert (behind.value, behind.final_p) == (0.0, 1.0)


def test_too_few_pictures_make_nobody_surely_worse() -> None:
    def tiny(name: str, loss: float, seconds: float) -> Probed:
        probe = Probe(
            score=wilson(round(7 - loss), 7),
            score_name="accuracy",
            losses_N=np.full(7, loss),
            images_per_second=1.0,
        )
        return Probed(name=name, probe=probe, cost_seconds=seconds, num_parameters=1)

    assert choose([tiny("bad", 7.0, 1), tiny("good", 0.0, 50)]).place == 0


def test_the_order_of_the_networks_changes_nothing() -> None:
    few = [network(str(n), 80 + n, 50 - 3 * n, noise=n) for n in range(6)]
    name = few[choose(few).place].name
    assert few[::-1][choose(few[::-1]).place].name == name


def test_there_must_be_something_to_choose_from() -> None:
    with pytest.raises(ValueError, match="none was probed"):
        choose([])
