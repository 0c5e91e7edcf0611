"""The loop: it learns, stops and goes on to the same weights, and survives what is not finite."""

import math
from pathlib import Path

import pytest
import torch
from tests.training.conftest import SMALL, surroundings

from saccade.models.network import Network
from saccade.runtime.errors import ResourceError, UsageError
from saccade.training import fit as fit_module
from saccade.training import step as step_module
from saccade.training.checkpoint import read_checkpoint
from saccade.training.fit import fit
from saccade.training.recipe import Recipe


def weights_of(network: Network) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def assert_same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    different = [name for name in first if not torch.equal(first[name], second[name])]
    assert different == []


@pytest.mark.parametrize("opt", ["sgd", pytest.param("adam", marks=pytest.mark.slow), "adamw"])
def test_every_optimiser_learns_the_stripes(lesson_for, opt: str) -> None:
    lr = 0.05 if opt == "sgd" else 3e-3
    recipe = SMALL.replace(opt=opt, epochs=8, lr=lr)
    net, material = lesson_for(recipe)
    fitted = fit(net, material, recipe=recipe, pretrained=False, surroundings=surroundings())
    assert fitted.judgement is not None
    assert fitted.judgement.score >= 0.8  # chance is 1/3; 8 validation pictures


def test_the_same_seed_gives_the_same_weights_to_the_last_bit(lesson_for) -> None:
    results = []
    for _ in range(2):
        net, material = lesson_for(SMALL)
        fit(net, material, recipe=SMALL, pretrained=False, surroundings=surroundings())
        results.append(weights_of(net))
    assert_same(*results)


def test_another_seed_gives_other_weights(lesson_for) -> None:
    results = []
    for seed in (0, 1):
        recipe = SMALL.replace(seed=seed)
        net, material = lesson_for(recipe)
        fit(net, material, recipe=recipe, pretrained=False, surroundings=surroundings())
        results.append(weights_of(net)["body.classifier.weight"])
    assert not torch.equal(*results)


def resumed(lesson_for, recipe: Recipe, path: Path, *, stop_after: int) -> dict[str, torch.Tensor]:
    net, material = lesson_for(recipe)
    around = surroundings(path, stop_after=stop_after)
    first = fit(net, material, recipe=recipe, pretrained=False, surroundings=around)
    assert first.interrupted
    net, material = lesson_for(recipe)
    fitted = fit(
        net,
        material,
        recipe=recipe,
        pretrained=False,
        surroundings=surroundings(path),
        resume=read_checkpoint(path),
    )
    assert not fitted.interrupted
    return weights_of(net)


@pytest.mark.parametrize(  # 5 steps an epoch: within, at and after
    ("opt", "stop_after", "precision"),
    [
        ("adamw", 1, "fp32"), ("adamw", 5, "fp32"), ("adamw", 6, "fp32"), ("adamw", 6, "bf16"),
        ("sgd", 6, "fp32"), ("sgd", 11, "fp32"),
    ],
)  # fmt: skip
def test_a_fit_that_was_stopped_ends_with_the_weights_of_one_that_was_not(
    lesson_for, tmp_path: Path, opt: str, stop_after: int, precision: str
) -> None:
    recipe = SMALL.replace(opt=opt, precision=precision)
    net, material = lesson_for(recipe)
    fit(net, material, recipe=recipe, pretrained=False, surroundings=surroundings())
    path = tmp_path / "checkpoint.safetensors"
    assert_same(weights_of(net), resumed(lesson_for, recipe, path, stop_after=stop_after))


@pytest.mark.parametrize("lost", ["step", "epoch"])
def test_resuming_with_a_lost_counter_is_noticed_negative_control(
    lesson_for, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    net, material = lesson_for(SMALL)
    fit(net, material, recipe=SMALL, pretrained=False, surroundings=surroundings())
    whole = weights_of(net)
    read = fit_module._Loop.begin

    def forgetful(self, resume):
        standing = read(self, resume)
        setattr(standing, lost, {"step": 0, "epoch": 1}[lost])
        return standing

    monkeypatch.setattr(fit_module._Loop, "begin", forgetful)
    other = resumed(lesson_for, SMALL, tmp_path / "c.safetensors", stop_after=7)
    assert any(not torch.equal(whole[name], other[name]) for name in whole)


def test_a_stopped_fit_leaves_the_best_weights_so_far(lesson_for) -> None:
    net, material = lesson_for(SMALL)
    around = surroundings(stop_after=8)  # in the second epoch
    fitted = fit(net, material, recipe=SMALL, pretrained=False, surroundings=around)
    assert (fitted.interrupted, fitted.epochs, fitted.best_epoch) == (True, 1, 1)


def test_the_best_epoch_is_kept_not_the_last(lesson_for, monkeypatch: pytest.MonkeyPatch) -> None:
    net, material = lesson_for(SMALL)
    kept: list[dict[str, torch.Tensor]] = []
    scores = iter([0.5, 0.9, 0.4])

    def judged(_self) -> object:
        kept.append(weights_of(net))
        return fit_module.Judgement(loss=1.0, score=next(scores), name="accuracy")

    monkeypatch.setattr(fit_module._Loop, "_judge", judged)
    fitted = fit(net, material, recipe=SMALL, pretrained=False, surroundings=surroundings())
    assert fitted.best_epoch == 2
    assert_same(weights_of(net), kept[1])


def test_patience_ends_a_fit_that_gains_nothing(
    lesson_for, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = SMALL.replace(epochs=50, patience=2)
    net, material = lesson_for(recipe)
    same = fit_module.Judgement(loss=1.0, score=0.5, name="accuracy")
    monkeypatch.setattr(fit_module._Loop, "_judge", lambda _self: same)
    fitted = fit(net, material, recipe=recipe, pretrained=False, surroundings=surroundings())
    assert fitted.epochs == 3  # the first gains on nothing, two more do not gain


def test_frozen_stages_keep_parameters_and_statistics(lesson_for) -> None:
    net, material = lesson_for(SMALL)
    net.set_stage_trainable(1)
    before = weights_of(net)
    fit(net, material, recipe=SMALL, pretrained=False, surroundings=surroundings())
    after = weights_of(net)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert not {name for name in moved if name.startswith("body.stages.0.")}
    assert {name for name in moved if name.startswith("body.stages.1.")}
    assert any("running_mean" in name for name in moved)


def test_unfrozen_statistics_do_move_negative_control(lesson_for) -> None:
    net, material = lesson_for(SMALL)
    before = weights_of(net)
    fit(net, material, recipe=SMALL, pretrained=False, surroundings=surroundings())
    after = weights_of(net)
    assert any(
        name.startswith("body.stages.0.") and "running" in name
        for name in before
        if not torch.equal(before[name], after[name])
    )


# --- row C7: numbers that are not finite -------------------------------------------------------


def test_a_rate_that_explodes_stops_with_the_layer_and_keeps_finite_weights(lesson_for) -> None:
    recipe = SMALL.replace(lr=1e30, opt="sgd", batch_norm=False)
    net, material = lesson_for(recipe)
    around = surroundings()
    with pytest.raises(ResourceError) as caught:
        fit(net, material, recipe=recipe, pretrained=False, surroundings=around)
    message = caught.value
    assert message.code == "SACCADE-E440"
    assert "first in the output of layer 'body.stages." in message.message
    assert "at a tenth of the learning rate too" in message.message
    assert all(bool(value.isfinite().all()) for value in net.state_dict().values())
    notes = [event for event in around.history.events if event["event"] == "note"]
    assert len(notes) == 1  # the rate was cut once


def poison_once(monkeypatch: pytest.MonkeyPatch, *, at_call: int) -> None:
    loss, calls = step_module.training_loss, iter(range(10**6))

    def poisoned(*args: object, **kwargs: object) -> torch.Tensor:
        value = loss(*args, **kwargs)
        return value * math.nan if next(calls) == at_call else value

    monkeypatch.setattr(step_module, "training_loss", poisoned)


def test_one_bad_step_goes_back_and_on_at_a_tenth_of_the_rate(
    lesson_for, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, material = lesson_for(SMALL)
    around = surroundings()
    poison_once(monkeypatch, at_call=7)
    fitted = fit(net, material, recipe=SMALL, pretrained=False, surroundings=around)
    epochs = [event for event in around.history.events if event["event"] == "epoch"]
    assert fitted.epochs == len(epochs) == 3
    assert all(math.isfinite(event["train_loss"]) for event in epochs)
    (note,) = (event for event in around.history.events if event["event"] == "note")
    assert note["sentence"].endswith(
        "in epoch 2, step 3; went back to the start of the epoch and on at a tenth of the "
        "learning rate."
    )
    assert all(bool(value.isfinite().all()) for value in net.state_dict().values())


@pytest.mark.parametrize("opt", ["sgd", "adamw"])
def test_a_bad_step_after_a_stop_in_its_epoch_goes_back_to_the_start_of_the_epoch_too(
    lesson_for, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opt: str
) -> None:
    recipe, path = SMALL.replace(opt=opt), tmp_path / "checkpoint.safetensors"
    results = []
    for stopped in (False, True):
        with monkeypatch.context() as patch:
            poison_once(patch, at_call=8)  # epoch 2, step 4; a stop comes after its step 2
            if stopped:
                results.append(resumed(lesson_for, recipe, path, stop_after=7))
                continue
            net, material = lesson_for(recipe)
            fit(net, material, recipe=recipe, pretrained=False, surroundings=surroundings())
            results.append(weights_of(net))
    assert_same(*results)


def test_bad_numbers_for_the_second_time_end_learning_with_the_best_epoch(
    lesson_for, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that had learned well was once an error, and nothing of it was kept."""
    net, material = lesson_for(SMALL)
    around = surroundings()
    loss, calls = step_module.training_loss, iter(range(10**6))

    def poisoned(*args: object, **kwargs: object) -> torch.Tensor:
        value = loss(*args, **kwargs)
        return value * math.nan if next(calls) >= 7 else value  # from the second epoch on

    monkeypatch.setattr(step_module, "training_loss", poisoned)
    fitted = fit(net, material, recipe=SMALL, pretrained=False, surroundings=around)
    epochs = [event for event in around.history.events if event["event"] == "epoch"]
    assert (fitted.best_epoch, len(epochs), fitted.interrupted) == (1, 1, False)
    notes = [event["sentence"] for event in around.history.events if event["event"] == "note"]
    assert notes[-1].endswith("at a tenth of the rate too; the best one is kept.")
    assert all(bool(value.isfinite().all()) for value in net.state_dict().values())


def test_where_time_is_up_the_best_epoch_so_far_is_kept(lesson_for) -> None:
    net, material = lesson_for(SMALL)
    around = surroundings()
    fitted = fit(net, material, recipe=SMALL, pretrained=False, surroundings=around, seconds=-1)
    (epoch,) = (event for event in around.history.events if event["event"] == "epoch")
    assert (fitted.epochs, fitted.interrupted) == (1, False)
    assert math.isfinite(epoch["validation_loss"])
    note = around.history.events[-1]["sentence"]
    assert note == "Learning ended in epoch 1: its time was up; the best epoch so far is kept."


def test_what_the_last_step_of_an_epoch_spoils_is_not_kept_as_the_best(
    lesson_for, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loss and gradients were finite, and the step went too far: nothing met it before the end."""
    net, material = lesson_for(SMALL)
    around, calls = surroundings(), iter(range(10**6))
    last = -(-len(material.train_rows) // SMALL.batch_size) - 1
    step = step_module.Updater.__call__

    def too_far(self: step_module.Updater, *args: object, **kwargs: object) -> float:
        loss = step(self, *args, **kwargs)
        if next(calls) == last:
            with torch.no_grad():
                self.network.classifier.weight.fill_(math.nan)
        return loss

    monkeypatch.setattr(step_module.Updater, "__call__", too_far)
    fitted = fit(net, material, recipe=SMALL, pretrained=False, surroundings=around)
    epochs = [event for event in around.history.events if event["event"] == "epoch"]
    assert [event["epoch"] for event in epochs] == [1, 2, 3]
    assert all(math.isfinite(event["validation_loss"]) for event in epochs)
    assert fitted.judgement is not None
    assert math.isfinite(fitted.judgement.loss)
    (note,) = (event for event in around.history.events if event["event"] == "note")
    assert note["sentence"].startswith(
        "Numbers stopped being finite, first in the weights after this step, in epoch 1, step"
    )
    assert all(bool(value.isfinite().all()) for value in net.state_dict().values())


def test_an_epoch_cut_short_has_the_mean_norms_of_its_own_steps(lesson_for) -> None:
    net, material = lesson_for(SMALL)
    norms = []
    for seconds in (math.inf, -1.0):
        net, material = lesson_for(SMALL.replace(epochs=1))
        around = surroundings()
        recipe = SMALL.replace(epochs=1)
        fit(net, material, recipe=recipe, pretrained=False, surroundings=around, seconds=seconds)
        (event,) = (e for e in around.history.events if e["event"] == "layer_gradients")
        (epoch,) = (e for e in around.history.events if e["event"] == "epoch")
        norms.append((event["norms"]["head"], epoch["step"]))
    (whole, steps), (cut, one) = norms
    assert one == 1 < steps
    assert cut > 0.4 * whole  # of one step, divided by all it would be a fifth or less


def test_who_resumes_a_fit_that_the_clock_has_ended_learns_no_more(
    lesson_for, tmp_path: Path
) -> None:
    path = tmp_path / "checkpoint.safetensors"
    net, material = lesson_for(SMALL)
    around = surroundings(path)
    fit(net, material, recipe=SMALL, pretrained=False, surroundings=around, seconds=-1)
    expected = weights_of(net)
    net, material = lesson_for(SMALL)
    fitted = fit(
        net,
        material,
        recipe=SMALL,
        pretrained=False,
        surroundings=surroundings(path),
        resume=read_checkpoint(path),
    )
    assert (fitted.epochs, fitted.interrupted) == (1, False)
    assert_same(weights_of(net), expected)


def test_a_single_picture_a_step_is_refused_where_batchnorm_learns(lesson_for) -> None:
    recipe = SMALL.replace(batch_size=1)
    net, material = lesson_for(recipe)
    with pytest.raises(UsageError) as caught:
        fit(net, material, recipe=recipe, pretrained=False, surroundings=surroundings())
    assert caught.value.code == "SACCADE-E238"
    bare = recipe.replace(batch_norm=False, epochs=1)
    net, material = lesson_for(bare)
    fit(net, material, recipe=bare, pretrained=False, surroundings=surroundings())


def test_without_the_guard_a_bad_step_spoils_the_weights_negative_control(
    lesson_for, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, material = lesson_for(SMALL)
    poison_once(monkeypatch, at_call=7)
    monkeypatch.setattr(step_module.math, "isfinite", lambda _value: True)
    spoiled: list[bool] = []
    monkeypatch.setattr(
        fit_module._Loop,
        "_judged",
        lambda _self, _standing: (
            spoiled.append(any(not bool(v.isfinite().all()) for v in net.state_dict().values()))
            or fit_module.Judgement(loss=1.0, score=0.5, name="accuracy")
        ),
    )
    fit(net, material, recipe=SMALL, pretrained=False, surroundings=surroundings())
    assert spoiled == [False, True, True]
