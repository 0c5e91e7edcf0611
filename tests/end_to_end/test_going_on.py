"""A run's folder: made by one process alone, written by one at a time, and gone on with."""

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.conftest import shape_picture, write_shapes

import saccade
from saccade import preparing, road, workflow
from saccade.lesson import Lesson
from saccade.report import rewrite_report
from saccade.run import alone_in, half_folder, put_in_place
from saccade.runtime.errors import SaccadeError, UsageError
from saccade.runtime.store import write_json
from saccade.training.recipe import Recipe
from saccade.training.recipe_file import read_recipe, write_recipe

QUICK = Recipe(model="mlp", img_size=16, widths=(4,), epochs=1, augment=False, trust=False)


class Killed(BaseException):
    """What ends a run at once."""


def killed(*_: object, **__: object) -> None:
    raise Killed


@contextlib.contextmanager
def stopped(name: str, owner: Any = road.Road) -> Iterator[None]:
    """Let a run end where it would call something."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, killed)
        with contextlib.suppress(Killed):
            yield
            pytest.fail("it went on")


def while_looking(monkeypatch: pytest.MonkeyPatch, do: Callable[[], object]) -> None:
    """Do something while a run is looking at its pictures."""
    honest = workflow.look

    def look(*args: Any, **kwargs: Any) -> Lesson:
        do()
        return honest(*args, **kwargs)

    monkeypatch.setattr(workflow, "look", look)


# --- whose folder it is -------------------------------------------------------------------------


def test_a_folder_that_another_process_makes_meanwhile_is_left_to_it(
    image_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "out" / "run"
    while_looking(monkeypatch, lambda: folder.mkdir(parents=True))
    with pytest.raises(UsageError) as caught:
        saccade.train(image_folder(2, 6), QUICK, output=folder)
    assert caught.value.code == "SACCADE-E240"
    assert list(folder.parent.rglob("*")) == [folder]  # and nothing half made


def test_of_two_that_find_no_folder_the_quicker_one_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    halves = [half_folder(folder, data="x") for _ in range(2)]
    for half in halves:
        (half / "run.json").write_text(half.name)
    assert put_in_place(halves[0], folder, data="x") == folder
    seen = iter([False, True])  # looked for before the other one put it there, and after
    with monkeypatch.context() as patch:
        patch.setattr(Path, "exists", lambda _path: next(seen))
        with pytest.raises(UsageError):
            put_in_place(halves[1], folder, data="x")
    assert (folder / "run.json").read_text() == halves[0].name


def test_runs_of_the_same_pictures_at_the_same_time_get_numbers(
    image_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = image_folder(2, 6)
    monkeypatch.chdir(tmp_path)
    other = Path("runs/pictures")
    while_looking(monkeypatch, lambda: other.mkdir(parents=True))
    with stopped("go"):
        saccade.train(root, QUICK)
    assert list(other.iterdir()) == []
    assert saccade.open_run("runs/pictures-2").state == "failed"


def test_a_run_that_goes_on_somewhere_is_not_gone_on_with_beside_it(
    image_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    codes = []

    def go(_road: road.Road) -> None:
        half = folder / ".metrics.json.x.part"  # what the living run is writing
        half.touch()
        with pytest.raises(UsageError) as caught:
            saccade.resume(folder)
        codes.append(caught.value.code)
        half.unlink()

    monkeypatch.setattr(road.Road, "go", go)
    saccade.train(image_folder(2, 6), QUICK, output=folder)
    saccade.resume(folder)
    assert codes == ["SACCADE-E242"] * 2  # beside the first one, and beside one that went on


def test_a_process_that_was_killed_holds_no_folder(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom saccade.run import alone_in\n"
        "with alone_in(Path(sys.argv[1])):\n    print('in', flush=True)\n    time.sleep(60)\n"
    )
    words = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "in\n"
        with pytest.raises(UsageError, match="Another process is at work on this run"):
            alone_in(tmp_path).__enter__()
        other.kill()
    with alone_in(tmp_path):
        assert list(tmp_path.iterdir()) == []  # nor is a file left by the lock


def test_a_folder_that_cannot_be_made_is_told_plainly(
    image_folder: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SaccadeError, match="A file could not be written") as caught:
        saccade.train(image_folder(2, 6), QUICK, output=tmp_path / "file" / "run")
    assert caught.value.code == "SACCADE-E401"


# --- going on -----------------------------------------------------------------------------------


@pytest.mark.parametrize("at", ["write_recipe", "write_split", "put_in_place"])
def test_a_run_that_ends_before_it_is_whole_leaves_nothing_in_the_way_of_the_next(
    image_folder: Callable[..., Path], tmp_path: Path, at: str
) -> None:
    root, folder = image_folder(2, 6), tmp_path / "out" / "run"
    with stopped(at, workflow):
        saccade.train(root, QUICK, output=folder)
    assert list(folder.parent.iterdir()) == []
    with stopped("go"):
        saccade.train(root, QUICK, output=folder)
    assert saccade.resume(folder).state == "finished"


def test_a_run_with_a_budget_goes_on_with_its_pictures_however_slow_the_machine_is_now(
    image_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, recipe = tmp_path / "run", QUICK.replace(budget="1000s")
    with stopped("go"):
        saccade.train(image_folder(2, 24), recipe, output=folder)
    monkeypatch.setattr(preparing, "affordable", lambda *_: 30)
    monkeypatch.setattr(workflow, "SHARE_TO_LOOK", -1.0)  # the time to look is over at once
    monkeypatch.setattr(workflow, "GRACE", 0.0)
    run = saccade.resume(folder)
    assert run.state == "finished"
    assert run.facts["data"]["num_used"] == 48
    assert "s since it went on)" in run.report.read_text(encoding="utf-8")
    assert read_recipe(folder / "recipe.toml").limit == 0


@pytest.fixture
def alike_in_the_middle(tmp_path: Path) -> Path:
    """Give wide pictures of which some agree in the square in their middle and nowhere else."""
    for number in range(40):
        rng = np.random.default_rng(number)
        wide = rng.integers(0, 255, (8, 24)).repeat(4, axis=0).repeat(4, axis=1).astype(np.uint8)
        wide[:, 32:64] = shape_picture(number % 2, number // 2 % 7, side=32)[:, :, 0]
        path = tmp_path / "wide" / f"class{number % 2}" / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(wide).save(path)
    return tmp_path / "wide"


def test_a_run_whose_network_came_to_have_another_canvas_goes_on_with_its_parts(
    alike_in_the_middle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a race: what shows the same was looked for on the canvases of its first network."""
    lessons: list[Lesson] = []

    def go(own: road.Road) -> None:
        lessons.append(own.lesson)

    monkeypatch.setattr(road.Road, "go", go)
    folder = tmp_path / "run"
    saccade.train(alike_in_the_middle, QUICK.replace(img_size=32), output=folder)
    recipe = read_recipe(folder / "recipe.toml")
    write_recipe(folder / "recipe.toml", recipe.replace(fit="pad"))
    saccade.resume(folder)
    saccade.resume(folder)
    first, second, third = lessons
    assert any(first.split.groups)  # there is something that the canvas decides
    assert first.split == second.split == third.split
    assert [own.cache.preprocess.fit for own in lessons] == ["crop", "pad", "pad"]
    np.testing.assert_array_equal(first.looks.thumbs_NHW, second.looks.thumbs_NHW)


def test_other_pictures_are_refused_where_a_run_goes_on(
    image_folder: Callable[..., Path], tmp_path: Path
) -> None:
    root = image_folder(2, 8)
    with stopped("go"):
        saccade.train(root, QUICK, output=tmp_path / "run")
    Image.fromarray(shape_picture(1, 99, side=16)).save(root / "class1" / "099.png")
    with pytest.raises(SaccadeError) as caught:
        saccade.resume(tmp_path / "run")
    assert caught.value.code == "SACCADE-E346"


def test_the_page_of_a_run_whose_network_has_another_canvas_shows_its_pictures_when_rewritten(
    alike_in_the_middle: Path, tmp_path: Path
) -> None:
    run = saccade.train(
        alike_in_the_middle, QUICK.replace(img_size=32, fit="crop"), output=tmp_path / "run"
    )
    with_pictures = run.report.read_text().count("data:image/")
    facts = run.facts
    facts["model"]["preprocess"]["fit"] = "pad"
    write_json(run.folder / "run.json", facts)
    rewrite_report(run.folder)
    assert run.report.read_text().count("data:image/") == with_pictures > 10


def test_a_run_that_was_killed_before_its_page_was_written_gets_it(tmp_path: Path) -> None:
    write_shapes(tmp_path / "pictures", 2, 10, side=16)
    run = saccade.train(tmp_path / "pictures", QUICK, output=tmp_path / "run")
    facts = dict(run.facts)
    del facts["page"]
    (run.folder / "report.html").unlink()
    write_json(run.folder / "run.json", facts)
    assert saccade.resume(run.folder).state == "finished"
    assert saccade.verify(run.folder).believed
    with pytest.raises(UsageError, match="nothing to resume"):
        saccade.resume(run.folder)
