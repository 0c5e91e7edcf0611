"""Row C6, with memory that does run out: `prlimit --as`, set by the process for its own steps."""

from pathlib import Path

import numpy as np
import pytest
from tests.conftest import write_shapes
from tests.end_to_end.programs import program

from saccade.models import tensors
from saccade.training.history import Event, read_history

WORDS = [
    "--model", "cnn", "--widths", "32,32", "--no-batch-norm", "--no-augment", "--opt", "sgd",
    "--epochs", 2, "--precision", "fp32", "--threads", 1, "--no-trust",
]  # fmt: skip

# While a step lasts, so much memory may be mapped on top of what is mapped before it. oneDNN is
# switched off, for it says of any trouble only that it could not create a primitive.
LIMITED = """
import resource, torch
from saccade.training import step
torch.backends.mkldnn.enabled = False
def mapped():
    with open("/proc/self/status") as file:
        return int(file.read().split("VmSize:")[1].split()[0]) << 10
def limited(self, *rows, _own=step.Updater.__call__, **place):
    most = mapped() + ({megabytes} << 20)
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
    try:
        return _own(self, *rows, **place)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
step.Updater.__call__ = limited
"""
UNGUARDED = "step.is_out_of_memory = lambda error: False\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("memory")
    write_shapes(root / "pictures", 3, 14, side=64)
    return root


def ended(
    place: Path, name: str, *, megabytes: int, side: int = 96, more: str = ""
) -> tuple[int, str]:
    """Train with so many megabytes for a step; return the exit code and what was told."""
    told = place / f"told-{name}"
    words = ["train", "pictures", *WORDS, "--img-size", side, "--output", name]
    changes = LIMITED.format(megabytes=megabytes) + more
    code = program(words, cwd=place, changes=changes, told=told).wait(300)
    return code, told.read_text()


def losses(events: list[Event]) -> list[float]:
    return [event["train_loss"] for event in events if event["event"] == "epoch"]


@pytest.mark.slow
def test_a_batch_that_memory_does_not_hold_is_halved_and_teaches_the_same(place: Path) -> None:
    for name, megabytes in (("whole", 1 << 20), ("limited", 150)):
        code, told = ended(place, name, megabytes=megabytes)
        assert code == 0, told
    histories = [read_history(place / name / "history.jsonl") for name in ("whole", "limited")]
    notes = [[event.get("sentence", "") for event in events] for events in histories]
    halved = [sum("Memory does not hold 30 pictures" in own for own in some) for some in notes]
    assert halved[0] == 0
    assert halved[1] >= 1
    np.testing.assert_allclose(*map(losses, histories), rtol=1e-5)
    whole, limited = (
        tensors.read(place / name / "model" / "model.safetensors") for name in ("whole", "limited")
    )
    assert whole.keys() == limited.keys()
    for name, weights in whole.items():
        np.testing.assert_allclose(limited[name], weights, atol=1e-5, err_msg=name)


@pytest.mark.slow
def test_a_batch_that_is_not_halved_ends_the_run_negative_control(place: Path) -> None:
    code, told = ended(place, "unguarded", megabytes=150, more=UNGUARDED)
    assert (code, "SACCADE-E403" in told) == (4, True)


@pytest.mark.slow
def test_where_no_single_picture_fits_it_says_what_helps(place: Path) -> None:
    code, told = ended(place, "too little", megabytes=1, side=448)
    assert code == 4
    assert "SACCADE-E404: The memory does not hold one training step of a single picture." in told
    assert "choose a smaller --img-size or --model" in told
