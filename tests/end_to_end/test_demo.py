"""The first thing that a new user runs."""

from pathlib import Path

import pytest

from saccade import demo
from saccade.flags import recipe_from
from saccade.runtime.progress import Progress
from saccade.training.recipe_file import field_types


def test_the_demonstration_trains_both_networks_and_names_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    quick = demo.RECIPE.replace(limit=150, epochs=1, trust=False)
    monkeypatch.setattr(demo, "RECIPE", quick)
    lines = list(demo.run_demo(Path("demo"), progress=Progress()))
    assert len(list(Path("demo/digits").glob("*/*.png"))) == 1797
    assert lines[0] == f"1797 handwritten digits in {Path('demo/digits')}"
    assert lines[-3].startswith("mlp: test accuracy ")
    assert lines[-2].startswith("cnn: test accuracy ")
    assert Path(lines[-1].removeprefix("report: ")).is_file()


def test_the_command_that_it_shows_is_what_it_does() -> None:
    words = demo.FLAGS.split()
    types = field_types()
    flags = {
        name: types[name](text)
        for flag, text in zip(words[::2], words[1::2], strict=True)
        for name in [flag.removeprefix("--").replace("-", "_")]
    }
    shown = recipe_from(None, "digits", flags).replace(data="", keep_augment=())
    assert shown == demo.RECIPE
