"""Inputs: pictures or activations, the same from epoch, step and row alone."""

import numpy as np
import pytest
import torch
from tests.training.conftest import SMALL
from tests.training.test_activations import Prefix

from saccade.data.batches import as_seen
from saccade.models.inference import predict_logits
from saccade.training.activations import ViewsOfPictures
from saccade.training.crops import Crops
from saccade.training.inputs import BATCH, FrozenAnswers, Pictures


@pytest.fixture
def prefix(lesson_for) -> Prefix:
    return Prefix(lesson_for)


def frozen(
    prefix: Prefix, *, views: int = 1, depth: int = 1, crops: Crops | None = None
) -> FrozenAnswers:
    rows = [*prefix.material.train_rows, *prefix.material.validation_rows]
    found = [prefix.compute(rows if view == 0 else None, view=view)[depth] for view in range(views)]
    pictures = ViewsOfPictures(cut=prefix.cuts[depth], views=tuple(found), seed=0)
    return FrozenAnswers(pictures, device="cpu", crops=crops)


def test_without_augmentation_a_batch_is_the_pictures_as_they_are_tested(lesson_for) -> None:
    _, material = lesson_for(SMALL)
    rows = np.array(material.train_rows[:5])
    inputs = Pictures(material.cache, SMALL.replace(augment=False), device="cpu")
    expected = as_seen(material.cache.canvases(rows), material.cache.preprocess, "cpu")
    assert torch.equal(inputs.batch(rows, epoch=1, step=0), expected)


def test_how_a_picture_is_augmented_depends_on_epoch_and_picture_alone(lesson_for) -> None:
    _, material = lesson_for(SMALL)
    inputs = Pictures(material.cache, SMALL, device="cpu")
    rows = np.array(material.train_rows[:6])
    first = inputs.batch(rows, epoch=2, step=0)
    turned = inputs.batch(rows[::-1].copy(), epoch=2, step=7)
    np.testing.assert_allclose(first, turned.flip(0), atol=1e-5)
    other = inputs.batch(rows, epoch=3, step=0)
    assert float((first - other).abs().mean()) > 0.01


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_the_suffix_answers_as_the_whole_network_does(prefix: Prefix, depth: int) -> None:
    inputs = frozen(prefix, depth=depth)
    rows = prefix.material.validation_rows
    expected = predict_logits(prefix.network, prefix.material.cache, rows)
    found = inputs.logits(prefix.network, rows)
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_it_is_asked_in_evaluation_and_left_as_it_was(prefix: Prefix) -> None:
    inputs = frozen(prefix)
    rows = prefix.material.validation_rows
    expected = inputs.logits(prefix.network, rows)
    before = {name: value.clone() for name, value in prefix.network.state_dict().items()}
    prefix.network.train()
    np.testing.assert_array_equal(inputs.logits(prefix.network, rows), expected)
    assert prefix.network.training
    after = prefix.network.state_dict()
    assert [name for name in before if not torch.equal(before[name], after[name])] == []


def test_more_pictures_than_a_batch_holds_come_back_in_order(prefix: Prefix) -> None:
    inputs = frozen(prefix)
    rows = prefix.material.train_rows * 3
    assert len(rows) > BATCH
    once = inputs.logits(prefix.network, prefix.material.train_rows)
    np.testing.assert_allclose(
        inputs.logits(prefix.network, rows), np.tile(once, (3, 1)), atol=1e-5
    )


def test_of_no_pictures_there_are_no_answers(prefix: Prefix) -> None:
    assert len(frozen(prefix).logits(prefix.network, [])) == 0


def test_a_batch_of_activations_depends_on_epoch_and_step_alone(prefix: Prefix) -> None:
    first, second = frozen(prefix, views=3), frozen(prefix, views=3)
    rows = np.array(prefix.rows[:8])
    again = [inputs.batch(rows, epoch=1, step=2) for inputs in (first, second)]
    assert torch.equal(*again)
    for epoch, step in ((1, 3), (2, 2)):
        assert not torch.equal(again[0], first.batch(rows, epoch=epoch, step=step))


def test_activations_of_maps_come_in_the_layout_that_convolutions_like(prefix: Prefix) -> None:
    batch = frozen(prefix, views=2).batch(np.array(prefix.rows[:8]), epoch=1, step=0)
    assert batch.is_contiguous(memory_format=torch.channels_last)
    assert batch.dtype == torch.float32


def test_with_crops_a_step_sees_parts_and_what_is_asked_stays_whole(prefix: Prefix) -> None:
    crops = Crops(side=3, mirrored=0.5, epochs=4, seed=0)
    whole, parts = frozen(prefix), frozen(prefix, crops=crops)
    rows = np.array(prefix.rows[:8])
    plain, seen = (own.batch(rows, epoch=1, step=2) for own in (whole, parts))
    assert seen.shape == (*plain.shape[:2], 3, 3)
    assert torch.equal(seen, crops.of(plain, rows, epoch=1))
    assert not torch.equal(seen, parts.batch(rows, epoch=2, step=2))
    judged = prefix.material.validation_rows
    np.testing.assert_array_equal(
        parts.logits(prefix.network, judged), whole.logits(prefix.network, judged)
    )
