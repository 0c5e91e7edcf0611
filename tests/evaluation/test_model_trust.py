"""What a model is to know of its own answers, fitted without a look at the test part."""

import numpy as np
import pytest
from tests.evaluation.populations import TASKS, draw

from saccade.data.sealed import Sealed
from saccade.data.split import Split
from saccade.data.task import Kind
from saccade.evaluation.held import Held, NotPromised
from saccade.evaluation.model_trust import ModelTrust, best_promise, fit_trust, scores_of


def split_of(own: Held, *, validation: int) -> Split:
    num = len(own)
    rest = (num - validation) // 2
    parts = ["train"] * rest + ["validation"] * validation + ["test"] * (num - rest - validation)
    return Split(parts=tuple(parts), groups=("",) * num, why=("drawn",) * num, seed=0)


def fitted(own: Held, *, validation: int = 100, with_features: bool = True) -> ModelTrust | None:
    """Fit with the answers of the test part under seal: reading one stops it."""
    split = split_of(own, validation=validation)
    return fit_trust(
        split=split,
        task=own.task,
        logits_NK=own.logits_NK,
        targets=Sealed(own.targets, rows=split.rows("test")),
        features_ND=own.logits_NK**2 if with_features else None,
        seed=0,
    )


@pytest.mark.parametrize("kind", TASKS)
def test_every_kind_of_task_is_fitted_on_validation_alone(kind: Kind) -> None:
    own = draw(300, kind=kind, sharpened=2.0)
    found = fitted(own)
    assert found is not None
    assert (found.part, found.n) == ("validation", 100)
    assert (found.selective is None) == (kind == "regression")
    assert found.unknown is not None
    assert found.conformal.fitted_on == frozenset(range(100, 200))
    assert found.unknown.fitted_on == frozenset(range(200))


def test_other_answers_in_the_test_part_change_nothing() -> None:
    own = draw(300)
    changed = Held(
        part=own.part,
        rows=own.rows,
        task=own.task,
        logits_NK=own.logits_NK,
        targets=np.r_[own.targets[:200], (own.targets[200:] + 1) % 5],
    )
    first, second = fitted(own), fitted(changed)
    assert first is not None
    assert second is not None
    assert first.calibration == second.calibration
    np.testing.assert_array_equal(first.conformal.misfits_N, second.conformal.misfits_N)


def test_without_a_validation_part_nothing_is_known() -> None:
    own = draw(60)
    assert fitted(own, validation=0) is None
    np.testing.assert_array_equal(
        scores_of(own.logits_NK, task=own.task, trust=None), own.task.scores(own.logits_NK)
    )


def test_what_cannot_be_known_has_its_reason() -> None:
    without = fitted(draw(300), with_features=False)
    few = fitted(draw(60), validation=10)
    assert without is not None
    assert few is not None
    assert without.why_no_unknown == "the features of the network were not at hand"
    assert few.why_no_unknown == (
        "10 held-out pictures are too few to say what is unlike them; 19 are needed"
    )
    assert few.calibration.kind == "none"


def test_what_cannot_be_promised_names_what_can() -> None:
    found = fitted(draw(400, spread=20.0), validation=200)
    assert found is not None
    assert found.selective is not None
    assert best_promise(found.selective) == 0.98
    with pytest.raises(NotPromised) as caught:
        found.promise(0.99)
    assert str(caught.value) == (
        "an accuracy of 0.99 cannot be promised with n = 200 held-out pictures; 299 answers are "
        "needed, all of them right; 0.98 can be promised"
    )
    hopeless = fitted(draw(60, spread=0.1), validation=20)
    assert hopeless is not None
    with pytest.raises(NotPromised, match="no accuracy can be promised"):
        hopeless.promise(0.9)
    values = fitted(draw(300, kind="regression"))
    assert values is not None
    with pytest.raises(NotPromised, match="ask for a coverage instead"):
        values.promise(0.9)
