"""The learning rate over the steps."""

import pytest

from saccade.training.schedule import rate_factor


def factors(schedule: str, *, warmup: float = 0.0, total: int = 100) -> list[float]:
    return [
        rate_factor(step, total=total, schedule=schedule, warmup=warmup) for step in range(total)
    ]


def test_the_cosine_falls_from_one_to_almost_nothing() -> None:
    values = factors("cosine")
    assert values[0] == 1
    assert values[50] == pytest.approx(0.5)  # cos(π/2) = 0
    assert values[-1] < 0.001
    assert values == sorted(values, reverse=True)


def test_steps_are_a_tenth_and_a_hundredth() -> None:
    values = factors("step")
    assert [values[0], values[59], values[60], values[84], values[85]] == [1, 1, 0.1, 0.1, 0.01]


def test_constant_stays() -> None:
    assert set(factors("constant")) == {1.0}


@pytest.mark.parametrize("schedule", ["cosine", "step", "constant"])
def test_the_rate_rises_in_equal_steps_while_it_warms_up(schedule: str) -> None:
    assert factors(schedule, warmup=0.1)[:10] == pytest.approx([n / 10 for n in range(1, 11)])
