"""A ladder that is climbed in a second: a small CNN with random weights, and six kinds of stripes.

Its head is so-so; the last stage alone does not help, two stages do, and the third adds nothing.
"""

import contextlib
import dataclasses
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from tests.conftest import shape_picture

from saccade.data.pixel_store import PixelStore
from saccade.lesson import Lesson, look
from saccade.models import network
from saccade.models.engine import one_thread
from saccade.models.network import Network, preprocess_for
from saccade.runtime.progress import Progress
from saccade.training.checkpoint import Checkpoint
from saccade.training.head import Head, fit_head
from saccade.training.history import Event, History
from saccade.training.learn import Learned, learn
from saccade.training.material import Material
from saccade.training.recipe import Recipe
from saccade.training.surroundings import Surroundings

CLIMB = Recipe(
    model="cnn", img_size=16, widths=(6, 8, 4), epochs=2, views=4, batch_size=8,
    lr=1e-2, body_lr=1e-2, hflip=0.0, zoom=0.0, rotate=0.0, val_fraction=0.3, test_fraction=0.1,
    precision="fp32",
)  # fmt: skip
QUICK = CLIMB.replace(epochs=1, views=1, batch_size=54, lr=1e-3, body_lr=1e-3)
"""Two steps a rung, for tests in which the verdict on it is given."""

PER_CLASS = 30
TAKEN = [False, True, False]  # of the rungs 1, 2, all


class Told(Progress):
    """Remembers what was said."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def say(self, sentence: str) -> None:
        self.sentences.append(sentence)


@dataclass(frozen=True, kw_only=True)
class Climbed:
    """What a run left."""

    network: Network
    learned: Learned
    events: list[Event]
    told: list[str]

    @property
    def weights(self) -> dict[str, torch.Tensor]:
        return {name: value.clone() for name, value in self.network.state_dict().items()}

    @property
    def rungs(self) -> list[Event]:
        return [event for event in self.events if event["event"] == "rung"]

    @property
    def timeless(self) -> list[dict[str, Any]]:
        """The history but for its clock fields."""
        return timeless(self.events)


class Lessons:
    """The pictures, looked at once, and runs on them."""

    def __init__(self, folder: Path, pixels: PixelStore) -> None:
        self.lesson: Lesson = look(CLIMB, folder, pixels, progress=Progress()).sealed()

    def network(self, recipe: Recipe = CLIMB) -> Network:
        return network.build("cnn", task=self.lesson.task, recipe=recipe, img_size=16)[0]

    @property
    def material(self) -> Material:
        return Material(
            cache=self.lesson.cache,
            targets=self.lesson.targets,
            train_rows=self.lesson.split.rows("train"),
            validation_rows=self.lesson.split.rows("validation"),
            asked_rows=self.lesson.split.rows("test"),
            task=self.lesson.task,
        )

    def climb(
        self,
        recipe: Recipe = CLIMB,
        *,
        asked_to_stop: Callable[[], bool] = bool,
        checkpoint: Path | None = None,
        resume: Checkpoint | None = None,
        history: History | None = None,
        num_validation: int | None = None,
        **around: Any,
    ) -> Climbed:
        """Learn from the first weights, or from a checkpoint."""
        net, told, history = self.network(recipe), Told(), history or History()
        material = self.material
        if num_validation is not None:
            few = material.validation_rows[:num_validation]
            material = dataclasses.replace(material, validation_rows=few)
        learned = learn(
            net,
            material,
            recipe=recipe,
            pretrained=True,
            surroundings=Surroundings(
                device="cpu",
                history=history,
                progress=told,
                asked_to_stop=asked_to_stop,
                checkpoint_path=checkpoint,
                **around,
            ),
            resume=resume,
        )
        return Climbed(network=net, learned=learned, events=history.events, told=told.sentences)


def timeless(events: list[Event]) -> list[Event]:
    """Return a history without the fields that a clock tells, which are named for its seconds."""
    return [{k: v for k, v in event.items() if "second" not in k} for event in events]


def remembering(solve: Callable[..., Head]) -> Callable[..., Head]:
    """Return what solves each head once: equal questions have one answer, as test_head.py shows."""
    heads: dict[bytes, Head] = {}

    def solved(*args: Any, **kwargs: Any) -> Head:
        asked = pickle.dumps((args, sorted(kwargs.items())))
        if asked not in heads:
            heads[asked] = solve(*args, **kwargs)
        return heads[asked]

    return solved


def write_pictures(root: Path) -> Path:
    for label in range(6):
        (root / f"class{label}").mkdir(parents=True)
        for number in range(PER_CLASS):
            picture = Image.fromarray(shape_picture(label, number, side=16))
            picture.save(root / f"class{label}" / f"{number:03}.png")
    return root


def pixel_store() -> PixelStore:
    return PixelStore(preprocess_for("cnn", img_size=16, fit="crop"))


@contextlib.contextmanager
def lessons_in(root: Path) -> Iterator[Lessons]:
    """Give the ladder that is climbed in a second, on one thread, with a cache of its own."""
    with pytest.MonkeyPatch.context() as patch, one_thread():
        patch.setenv("SACCADE_CACHE", str(root / "cache"))
        patch.setattr("saccade.training.learn.fit_head", remembering(fit_head))
        with pixel_store() as pixels:
            yield Lessons(write_pictures(root / "pictures"), pixels)


def different(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> list[str]:
    """Return the tensors that are not equal to the last bit."""
    return [name for name in first if not torch.equal(first[name], second[name])]
