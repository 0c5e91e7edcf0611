"""Where torch computes, on machines that have this and that."""

import pytest
import torch

from saccade.runtime.device import choose_device, is_out_of_memory, threads
from saccade.runtime.errors import UsageError


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch):
    """Give a function that says what is at hand, whatever is."""

    def has(*names: str) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in names)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in names)
        monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)

    return has


@pytest.mark.parametrize(
    ("here", "chosen"),
    [((), "cpu"), (("mps",), "mps"), (("cuda",), "cuda"), (("cuda", "mps"), "cuda")],
)
def test_the_first_accelerator_at_hand_is_taken(machine, here: tuple[str, ...], chosen: str):
    machine(*here)
    assert choose_device("auto") == chosen
    assert torch.backends.cudnn.deterministic is (chosen == "cuda")


def test_what_is_named_is_taken_or_refused(machine):
    machine("cuda")
    assert choose_device("cpu") == "cpu"
    with pytest.raises(UsageError, match="'mps' is not at hand") as refused:
        choose_device("mps")
    assert refused.value.code == "SACCADE-E202"
    assert refused.value.where.endswith("finds cpu, cuda")
    with pytest.raises(UsageError, match="not 'tpu'") as refused:
        choose_device("tpu")
    assert refused.value.code == "SACCADE-E201"


def test_threads_are_those_asked_for_or_one_a_core(monkeypatch: pytest.MonkeyPatch):
    told: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", told.append)
    monkeypatch.setattr("saccade.runtime.device.num_cores", lambda: 6)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    with pytest.raises(KeyError), threads(3) as number:
        raise KeyError(number)
    with threads(0) as number:
        assert number == 6
    assert told == [3, 2, 6, 2]  # and afterwards as they were


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("could not create a primitive"), True),
        (RuntimeError("could not create a primitive descriptor for a pooling"), False),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
    ],
)
def test_want_of_memory_is_known_by_what_each_library_says(error: Exception, is_memory: bool):
    assert is_out_of_memory(error) is is_memory
