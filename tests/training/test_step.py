"""Row C6: a batch that memory does not hold is computed in pieces; the update stays the same."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from tests.training.conftest import SMALL

from saccade.data.task import Task
from saccade.models.network import Network
from saccade.runtime.errors import ResourceError
from saccade.training import step as step_module
from saccade.training.history import History
from saccade.training.inputs import Pictures
from saccade.training.recipe import Recipe
from saccade.training.step import Updater

RECIPE = SMALL.replace(
    model="mlp", widths=(16,), batch_norm=False, drop=0.0, augment=False, opt="sgd", lr=0.1
)
CPU_MESSAGE = "[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"


@pytest.fixture
def updater_for(lesson_for) -> Callable[..., tuple[Updater, np.ndarray]]:
    """Return a function to an updater and the 32 rows of a batch, in which classes are uneven."""

    def make(recipe: Recipe = RECIPE, **choices) -> tuple[Updater, np.ndarray]:
        network, material = lesson_for(recipe)
        by_class = [
            [row for row in material.train_rows if material.targets[row] == label]
            for label in range(3)
        ]
        rows = np.array([*by_class[0], *by_class[1], *by_class[0], *by_class[2][:2]])[:32]
        assert len(rows) == 32
        updater = Updater(
            network,
            Pictures(material.cache, recipe, device="cpu"),
            torch.optim.SGD(network.parameters(), lr=0.1),
            recipe=recipe,
            device="cpu",
            history=History(),
            **{
                "task": material.task,
                "targets": material.targets,
                "train_rows": rows.tolist(),
                **choices,
            },
        )
        return updater, rows

    return make


def holding(network: Network, most: int, error: BaseException) -> None:
    """Let the network raise where it is given more than `most` pictures at once."""
    forward = type(network).forward

    def limited(images: torch.Tensor) -> torch.Tensor:
        if len(images) > most:
            raise error
        return forward(network, images)

    network.forward = limited


def gradients(network: Network) -> dict[str, np.ndarray]:
    return {name: p.grad.numpy().copy() for name, p in network.named_parameters()}


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    largest = max(float(np.abs(gradient).max()) for gradient in expected.values())
    for name, gradient in expected.items():
        np.testing.assert_allclose(found[name], gradient, atol=1e-6 * largest)


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(torch.OutOfMemoryError("CUDA out of memory."), id="accelerator"),
        pytest.param(MemoryError(), id="numpy"),
        pytest.param(RuntimeError(CPU_MESSAGE), id="torch on the processor"),
        pytest.param(RuntimeError("could not create a primitive"), id="oneDNN"),
    ],
)
@pytest.mark.parametrize(
    "choices",
    [{}, {"class_weights": "balanced"}, {"class_weights": "balanced", "smoothing": 0.1}],
    ids=["plain", "weighted", "weighted and smoothed"],
)
def test_in_pieces_loss_gradients_and_update_are_those_of_the_whole_batch(
    updater_for, error: BaseException, choices: dict[str, object]
) -> None:
    recipe = RECIPE.replace(**choices)
    whole, rows = updater_for(recipe)
    pieces, _ = updater_for(recipe)
    holding(pieces.network, 16, error)
    losses = [updater(rows, epoch=1, step=0) for updater in (whole, pieces)]
    assert (whole.pieces, pieces.pieces) == (1, 2)
    assert losses[1] == pytest.approx(losses[0], rel=1e-6)
    assert_same(gradients(pieces.network), gradients(whole.network))
    first, second = whole.network.state_dict(), pieces.network.state_dict()
    for name, value in first.items():
        np.testing.assert_allclose(second[name], value, atol=1e-6)


def test_the_loss_of_a_weighted_batch_in_pieces_is_torchs_weighted_mean(updater_for) -> None:
    updater, rows = updater_for(RECIPE.replace(class_weights="balanced"))
    holding(updater.network, 5, MemoryError())
    images = updater.inputs.batch(rows, epoch=1, step=0)
    with torch.no_grad():
        logits = type(updater.network).forward(updater.network, images)
    truth = torch.from_numpy(updater.targets[rows].astype(np.int64))
    counts = torch.bincount(truth, minlength=3)
    expected = torch.nn.functional.cross_entropy(logits, truth, weight=32 / counts)
    assert updater(rows, epoch=1, step=0) == pytest.approx(float(expected), rel=1e-6)
    assert updater.pieces == 8


@pytest.mark.parametrize("kind", ["binary", "multilabel", "regression"])
def test_other_tasks_are_computed_in_pieces_too(lesson_for, kind: str) -> None:
    found = []
    for most in (32, 7):
        _, material = lesson_for(RECIPE)
        task, targets = task_of(kind, material.targets.open())
        recipe = RECIPE.replace(class_weights="balanced")
        network = network_for(task, recipe)
        rows = np.array(material.train_rows[:32])
        updater = Updater(
            network,
            Pictures(material.cache, recipe, device="cpu"),
            torch.optim.SGD(network.parameters(), lr=0.1),
            recipe=recipe,
            task=task,
            targets=targets,
            train_rows=rows.tolist(),
            device="cpu",
            history=History(),
        )
        holding(network, most, MemoryError())
        loss = updater(rows, epoch=1, step=0)
        found.append((loss, gradients(network)))
    assert found[1][0] == pytest.approx(found[0][0], rel=1e-6)
    assert_same(found[1][1], found[0][1])


def task_of(kind: str, targets: np.ndarray) -> tuple[Task, np.ndarray]:
    if kind == "binary":
        return Task(kind="binary", classes=("a", "b")), (targets > 0).astype(np.int64)
    if kind == "multilabel":
        labels = np.stack([targets > 0, targets > 1], axis=1).astype(np.uint8)
        return Task(kind="multilabel", classes=("a", "b")), labels
    task = Task(kind="regression", classes=(), target_mean=1.0, target_std=0.8)
    return task, targets.astype(np.float64)


def network_for(task: Task, recipe: Recipe) -> Network:
    from saccade.models import network as networks

    return networks.build("mlp", task=task, recipe=recipe, img_size=16)[0]


def test_pieces_that_count_alike_would_be_wrong_negative_control(
    updater_for, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = RECIPE.replace(class_weights="balanced")
    whole, rows = updater_for(recipe)
    pieces, _ = updater_for(recipe)
    holding(pieces.network, 16, MemoryError())
    monkeypatch.setattr(Updater, "_share", lambda _self, part, all_: len(part) / len(all_))
    whole(rows, epoch=1, step=0)
    pieces(rows, epoch=1, step=0)
    with pytest.raises(AssertionError):
        assert_same(gradients(pieces.network), gradients(whole.network))


def test_each_halving_is_noted_once_and_kept_for_the_next_step(updater_for) -> None:
    updater, rows = updater_for()
    holding(updater.network, 8, MemoryError())
    for step in range(3):
        updater(rows, epoch=1, step=step)
    assert updater.history.events == [
        {
            "event": "note",
            "sentence": "Memory does not hold 32 pictures at once; each step is now computed in "
            f"{pieces} pieces and updated from once, as before.",
        }
        for pieces in (2, 4)
    ]


@pytest.mark.parametrize("num", [1, 3, 5])
def test_a_smaller_share_of_an_epoch_comes_in_no_more_pieces_than_pictures(
    updater_for, num: int
) -> None:
    updater, rows = updater_for()
    holding(updater.network, 4, MemoryError())
    updater(rows, epoch=1, step=0)
    assert updater.pieces == 8
    assert np.isfinite(updater(rows[:num], epoch=1, step=1))


def test_where_no_single_picture_fits_it_says_what_helps(updater_for) -> None:
    updater, rows = updater_for()
    holding(updater.network, 0, MemoryError())
    before = {name: value.clone() for name, value in updater.network.state_dict().items()}
    with pytest.raises(ResourceError) as caught:
        updater(rows, epoch=1, step=0)
    assert caught.value.code == "SACCADE-E404"
    assert str(caught.value) == (
        "The memory does not hold one training step of a single picture.\n"
        "  where: mlp, cpu\n"
        "  fix:   choose a smaller --img-size or --model, fewer stages with --unfreeze, "
        "or close other programs"
    )
    assert updater.pieces == 32
    after = updater.network.state_dict()
    assert [name for name in before if not torch.equal(before[name], after[name])] == []


@pytest.mark.parametrize(
    "error", [RuntimeError("mat1 and mat2 shapes cannot be multiplied"), ValueError("memory")]
)
def test_any_other_error_is_not_taken_for_a_want_of_memory(updater_for, error: Exception) -> None:
    updater, rows = updater_for()
    holding(updater.network, 0, error)
    with pytest.raises(type(error), match=str(error)):
        updater(rows, epoch=1, step=0)
    assert updater.pieces == 1


def test_without_the_guard_a_want_of_memory_ends_the_run_negative_control(
    updater_for, monkeypatch: pytest.MonkeyPatch
) -> None:
    updater, rows = updater_for()
    holding(updater.network, 16, MemoryError())
    monkeypatch.setattr(step_module, "is_out_of_memory", lambda _error: False)
    with pytest.raises(MemoryError):
        updater(rows, epoch=1, step=0)


def test_what_is_given_may_not_fit_either(updater_for) -> None:
    """Making the batch itself can fail; then a halving does not help, and it must not loop."""
    updater, rows = updater_for()

    def full(*_: object, **__: object) -> torch.Tensor:
        raise MemoryError

    updater.inputs.batch = full
    with pytest.raises(ResourceError, match="does not hold one training step"):
        updater(rows, epoch=1, step=0)


def test_an_attempt_that_did_not_fit_moves_no_statistics(updater_for) -> None:
    """Layers before the one that did not fit had counted the batch already."""
    recipe = SMALL.replace(model="cnn", drop=0.0, augment=False, opt="sgd", lr=0.1)
    updater, rows = updater_for(recipe)
    norms = [m for m in updater.network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    last = norms[-1]
    forward = type(last).forward

    def limited(images: torch.Tensor) -> torch.Tensor:
        if len(images) > 16:
            raise MemoryError
        return forward(last, images)

    last.forward = limited
    updater(rows, epoch=1, step=0)
    assert updater.pieces == 2
    assert {int(norm.num_batches_tracked) for norm in norms} == {2}
