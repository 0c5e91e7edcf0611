"""Activations: what is kept is what the prefix says, to the rounding that is stated."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.training.conftest import SMALL

from saccade.data.batches import as_seen
from saccade.models.cuts import Taps, find_cut
from saccade.models.engine import Engine
from saccade.models.inference import open_engine
from saccade.models.network import Network
from saccade.runtime import machine
from saccade.runtime.errors import ResourceError
from saccade.runtime.machine import let_go, pieces_of, rows_of
from saccade.runtime.progress import Progress
from saccade.training import activations
from saccade.training.activations import Activations, ViewsOfPictures, compute
from saccade.training.augment import Augmenter, augment_of
from saccade.training.inputs import Pictures
from saccade.training.material import Material
from saccade.training.recipe import Recipe

RECIPE = SMALL.replace(widths=(8, 16, 16), augment=True)
HALF = 2.0**-11  # the unit roundoff of float16


class Prefix:
    """The prefix of a small network, and the pictures it is asked about."""

    def __init__(self, lesson_for, recipe: Recipe = RECIPE) -> None:
        self.network: Network
        self.material: Material
        self.recipe = recipe
        self.network, self.material = lesson_for(recipe)
        self.network.eval()
        found = [find_cut(self.network, depth) for depth in (0, 1, 2)]
        self.cuts = tuple(cut for cut in found if cut is not None)
        self.rows = self.material.train_rows
        self.engine = open_engine(
            Taps(self.network, self.cuts),
            preprocess=self.material.cache.preprocess,
            device="cpu",
            num_pictures=len(self.rows),
            kind="torch",
            exact=True,
        )

    def compute(self, rows: list[int] | None = None, **choices) -> tuple[Activations, ...] | None:
        return compute(
            choices.pop("engine", self.engine),
            self.cuts,
            self.material.cache,
            self.rows if rows is None else rows,
            num_rows=len(self.material.targets),
            augmenter=Augmenter(
                augment_of(self.recipe),
                self.material.cache.preprocess,
                seed=self.recipe.seed,
                device="cpu",
            ),
            **{"progress": Progress(), **choices},
        )

    def said_of(self, images_BCHW: torch.Tensor) -> list[np.ndarray]:
        """Return what each cut carries, by a plain forward pass of the network."""
        with torch.inference_mode():
            flat = Taps(self.network, self.cuts)(images_BCHW)
        widths = [int(np.prod(cut.shape)) for cut in self.cuts]
        parts = zip(flat.split(widths, dim=1), self.cuts, strict=True)
        return [part.reshape(-1, *cut.shape).numpy() for part, cut in parts]


@pytest.fixture
def prefix(lesson_for) -> Prefix:
    return Prefix(lesson_for)


def test_the_plain_view_is_what_the_engine_says_to_the_last_bit(prefix: Prefix) -> None:
    found = prefix.compute()
    flat = prefix.engine(prefix.material.cache.canvases(prefix.rows))
    kept = np.concatenate([own.of(prefix.rows).reshape(len(flat), -1) for own in found], axis=1)
    np.testing.assert_array_equal(kept, flat)
    assert [own.values.dtype for own in found] == [np.float32] * 3
    assert [own.error for own in found] == [0, 0, 0]


def test_the_plain_view_is_what_the_network_says_of_the_pictures(prefix: Prefix) -> None:
    preprocess = prefix.material.cache.preprocess
    seen = as_seen(prefix.material.cache.canvases(prefix.rows), preprocess, "cpu")
    for own, expected in zip(prefix.compute(), prefix.said_of(seen), strict=True):
        np.testing.assert_allclose(own.of(prefix.rows), expected, atol=1e-5 * expected.max())


def test_rows_are_found_in_any_order(prefix: Prefix) -> None:
    own = prefix.compute()[1]
    some = [prefix.rows[7], prefix.rows[2], prefix.rows[7]]
    np.testing.assert_array_equal(own.of(some), own.of(prefix.rows)[[7, 2, 7]])


def test_a_picture_that_is_not_held_is_an_error_and_not_another_picture(prefix: Prefix) -> None:
    own = prefix.compute()[0]
    with pytest.raises(LookupError, match="activations of 2 pictures are not held"):
        own.of([prefix.rows[0], *prefix.material.validation_rows[:2]])


@pytest.mark.parametrize("view", [1, 3])
def test_a_view_is_what_that_epoch_would_see_up_to_rounding(prefix: Prefix, view: int) -> None:
    """Pixels are rounded to uint8 (at most half a level), activations to float16."""
    pictures = Pictures(prefix.material.cache, prefix.recipe, device="cpu")
    found = prefix.compute(view=view)
    apart = {}
    for epoch in (view, view + 1):
        seen = pictures.batch(np.array(prefix.rows), epoch=epoch, step=0)
        pairs = zip(found, prefix.said_of(seen), strict=True)
        apart[epoch] = [
            np.abs(own.of(prefix.rows) - said).max() / said.max() for own, said in pairs
        ]
    assert max(apart[view]) < 0.01
    assert min(apart[view + 1]) > 0.1  # another epoch sees something else


@pytest.mark.parametrize("view", [1, 2])
def test_views_are_halves_whose_error_is_stated(prefix: Prefix, view: int) -> None:
    exact: list[np.ndarray] = []

    def listened(canvases: np.ndarray) -> np.ndarray:
        exact.append(prefix.engine(canvases))
        return exact[-1]

    found = prefix.compute(view=view, engine=engine_of(listened, batch=8))
    whole, start = np.concatenate(exact), 0
    for own in found:
        width = int(np.prod(own.cut.shape))
        said = whole[:, start : start + width]
        start += width
        wrong = np.abs(own.of(prefix.rows).reshape(len(said), -1) - said)
        assert own.values.dtype == np.float16
        assert own.error == pytest.approx(wrong.max() / np.abs(said).max())
        assert 0 < own.error <= HALF


def engine_of(ask, *, batch: int) -> Engine:
    return Engine(
        name="of a test", ask=ask, batch=batch, notes=(), relative_error=0, seconds_to_open=0
    )


def test_values_too_large_for_halves_are_clipped_and_the_error_says_so(prefix: Prefix) -> None:
    width = sum(int(np.prod(cut.shape)) for cut in prefix.cuts)
    huge = engine_of(lambda canvases: np.full((len(canvases), width), 1.2e5, np.float32), batch=8)
    for own in prefix.compute(view=1, engine=huge):
        assert np.isfinite(own.values).all()
        assert own.error == pytest.approx(0.5)


def test_the_batch_an_engine_likes_changes_nothing(prefix: Prefix) -> None:
    """One picture at a time, because torch's sums depend on the batch in their last bits."""

    def one_by_one(canvases: np.ndarray) -> np.ndarray:
        return np.concatenate([prefix.engine(canvases[n : n + 1]) for n in range(len(canvases))])

    for view in (0, 1):
        small, large = (
            prefix.compute(view=view, engine=engine_of(one_by_one, batch=batch))
            for batch in (3, 1000)
        )
        for first, second in zip(small, large, strict=True):
            np.testing.assert_array_equal(first.of(prefix.rows), second.of(prefix.rows))


def test_asked_to_stop_nothing_half_done_comes_back(prefix: Prefix) -> None:
    told: list[int] = []

    class Listening(Progress):
        def advance(self, count: int = 1, note: str = "") -> None:
            told.append(count)

    few = engine_of(prefix.engine, batch=8)
    stopped = prefix.compute(engine=few, asked_to_stop=lambda: True, progress=Listening())
    assert stopped is None
    assert told == [8]


# --- room on disk --------------------------------------------------------------------------------


@pytest.fixture
def on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activations, "IN_MEMORY_BYTES", 0)


@pytest.mark.usefixtures("on_disk")
@pytest.mark.parametrize("view", [0, 1])
def test_what_is_large_lies_in_a_nameless_file(
    prefix: Prefix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, view: int
) -> None:
    folder = tmp_path / "cache" / "new"
    found = prefix.compute(view=view, folder=folder)
    assert all(isinstance(own.values, np.memmap) for own in found)
    assert list(folder.iterdir()) == []  # nothing that a crash could leave behind
    monkeypatch.setattr(activations, "IN_MEMORY_BYTES", 2**30)
    in_memory = prefix.compute(view=view, folder=folder)
    for first, second in zip(found, in_memory, strict=True):
        assert not isinstance(second.values, np.memmap)
        np.testing.assert_array_equal(first.of(prefix.rows), second.of(prefix.rows))


@pytest.mark.usefixtures("on_disk")
@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="no such promise on this system")
def test_a_full_disk_is_told_before_the_first_picture_and_not_by_a_crash_later(
    prefix: Prefix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(ResourceError) as caught:
        prefix.compute(folder=tmp_path)
    assert caught.value.code == "SACCADE-E401"
    assert caught.value.message == (
        "A file could not be written: there is no space left on the disk."
    )


FILL = """
import os, sys
from pathlib import Path
import numpy as np
from saccade.training import activations
if sys.argv[2] == "guard off":
    del os.posix_fallocate
activations.IN_MEMORY_BYTES = 0
activations._room(1000, (1000,), np.float32, Path(sys.argv[1]))[:] = 1
"""


@pytest.mark.slow
@pytest.mark.parametrize(("guard", "last_word"), [("guard on", "ResourceError"), ("guard off", "")])
def test_on_a_disk_too_small_for_them_only_the_guard_keeps_the_process_alive(
    tmp_path: Path, guard: str, last_word: str
) -> None:
    script = 'mount -t tmpfs -o size=1m tmpfs "$1" && exec "$2" -c "$3" "$1" "$4"'
    words = ["unshare", "-rm", "sh", "-c", script, "sh", tmp_path, sys.executable, FILL, guard]
    if subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode:
        pytest.skip("needs user namespaces")
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert done.returncode == (1 if guard == "guard on" else -signal.SIGBUS)
    assert last_word in done.stderr


# --- drawing among views -------------------------------------------------------------------------


def views(prefix: Prefix, num: int) -> ViewsOfPictures:
    found = [prefix.compute(view=view)[1] for view in range(num)]
    return ViewsOfPictures(cut=prefix.cuts[1], views=tuple(found), seed=0)


def test_each_picture_comes_as_one_of_its_views_and_all_views_come(prefix: Prefix) -> None:
    several = views(prefix, 3)
    rows = np.array(prefix.rows * 20)
    drawn = several.drawn(rows, draws=np.random.default_rng(0)).numpy()
    chosen = [
        next(n for n, view in enumerate(several.views) if np.array_equal(view.of([row])[0], own))
        for row, own in zip(rows, drawn, strict=True)
    ]
    counts = np.bincount(chosen, minlength=3) / len(rows)
    np.testing.assert_allclose(counts, 1 / 3, atol=4 * np.sqrt(2 / 9 / len(rows)))


def test_one_view_alone_needs_no_draws(prefix: Prefix) -> None:
    single = views(prefix, 1)
    draws = np.random.default_rng(0)
    before = draws.bit_generator.state
    drawn = single.drawn(np.array(prefix.rows), draws=draws)
    assert torch.equal(drawn, single.plain(prefix.rows))
    assert draws.bit_generator.state == before


@pytest.mark.usefixtures("on_disk")
@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's count of mapped memory")
def test_what_lies_in_a_file_is_let_go_and_read_again(tmp_path: Path) -> None:
    values = activations._room(2_000, (10_000,), np.float32, tmp_path)  # 80 MB
    memory = np.ones(3)
    seen_otherwise = values.reshape(2_000, 100, 100)
    values[:] = 1.5

    def mapped_mb() -> int:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        own = dict(line.split(":", 1) for line in status.splitlines())
        return sum(int(own[name].split()[0]) for name in ("RssFile", "RssShmem")) // 1024

    before = mapped_mb()
    let_go(seen_otherwise)
    let_go(memory)
    assert mapped_mb() < before - 50
    np.testing.assert_array_equal(values[::500], 1.5)
    np.testing.assert_array_equal(memory, 1)


@pytest.mark.usefixtures("on_disk")
def test_rows_are_copied_in_any_order_from_a_file_and_from_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_ROWS_AT_ONCE", 7)
    values = activations._room(50, (3, 2), np.float32, tmp_path)
    values[:] = np.arange(300).reshape(50, 3, 2)
    rows = [49, 3, 3, *range(20, 40), 0]
    for own in (values, np.array(values)):
        np.testing.assert_array_equal(rows_of(own, rows), np.array(values)[rows])
        assert rows_of(own, []).shape == (0, 3, 2)
        pieces = list(pieces_of(own))
        assert [len(piece) for piece in pieces] == [7] * 7 + [1]
        np.testing.assert_array_equal(np.concatenate(pieces), np.array(values))
