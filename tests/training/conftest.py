"""A small task that a network can learn in seconds: stripes of three widths."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.training.climbs import CLIMB, Climbed, Lessons, lessons_in

from saccade.data.pixel_store import PixelStore
from saccade.lesson import look
from saccade.models import crops, network
from saccade.models.network import Network, preprocess_for
from saccade.runtime.progress import Progress
from saccade.training.history import History
from saccade.training.material import Material
from saccade.training.recipe import Recipe
from saccade.training.surroundings import Surroundings

SMALL = Recipe(
    model="cnn",
    img_size=16,
    widths=(8, 16),
    epochs=3,
    batch_size=8,
    lr=3e-3,
    hflip=0.0,
    drop=0.1,
    precision="fp32",
)


@pytest.fixture(scope="module")
def lessons(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lessons]:
    with lessons_in(tmp_path_factory.mktemp("climb")) as own:
        yield own


@pytest.fixture(scope="module")
def climbed(lessons: Lessons) -> Climbed:
    """Give the whole ladder, climbed without a budget."""
    return lessons.climb()


@pytest.fixture(scope="module")
def head_only(lessons: Lessons) -> Climbed:
    return lessons.climb(CLIMB.replace(unfreeze="0"))


@pytest.fixture
def narrow_crops(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the lessons' maps of 8 × 8, which end in 2 × 2, be cropped."""
    monkeypatch.setattr(crops, "NARROWEST", 2)


@pytest.fixture
def lesson_for(image_folder: Callable[..., Path], request: pytest.FixtureRequest):
    """Return a function from a recipe to (network, material), on a folder of stripes."""
    folder = image_folder(3, 16)

    def make(recipe: Recipe) -> tuple[Network, Material]:
        pixels = PixelStore(preprocess_for(recipe.model, img_size=recipe.img_size, fit=recipe.fit))
        request.addfinalizer(lambda: pixels.__exit__())
        lesson = look(recipe, folder, pixels.__enter__(), progress=Progress()).sealed()
        net, _ = network.build(
            recipe.model, task=lesson.task, recipe=recipe, img_size=recipe.img_size
        )
        material = Material(
            cache=lesson.cache,
            targets=lesson.targets,
            train_rows=lesson.split.rows("train"),
            validation_rows=lesson.split.rows("validation"),
            task=lesson.task,
        )
        return net, material

    return make


def surroundings(path: Path | None = None, *, stop_after: int | None = None) -> Surroundings:
    """Return surroundings that ask to stop after so many steps."""
    steps = iter(range(10**9))
    return Surroundings(
        device="cpu",
        history=History(),
        progress=Progress(),
        asked_to_stop=lambda: stop_after is not None and next(steps) + 1 >= stop_after,
        checkpoint_path=path,
        checkpoint_seconds=0,
    )
