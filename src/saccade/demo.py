"""The demonstration: handwritten digits as an image folder, through the ordinary road."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from saccade.data.encode import encode_png
from saccade.runtime.errors import command
from saccade.runtime.progress import Progress
from saccade.runtime.store import write_bytes
from saccade.training.recipe import Recipe
from saccade.workflow import train

RECIPE = Recipe(img_size=16, epochs=15, hflip=0.0)  # a mirrored digit is another sign
FLAGS = "--img-size 16 --epochs 15 --hflip 0"


def write_digits(folder: Path) -> int:
    """Write scikit-learn's 1,797 digits as PNG files, folder/<digit>/<number>.png; return 1797.

    Gray values 0-16 become 0-255. Files that are there already are left alone.
    Source: E. Alpaydin, C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI.
    """
    from sklearn.datasets import load_digits  # noqa: PLC0415 - the demonstration alone needs it

    digits = load_digits()
    for number, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        path = folder / str(label) / f"{number:04}.png"
        if not path.exists():
            gray = np.round(image * (255 / 16)).astype(np.uint8)
            write_bytes(path, encode_png(np.repeat(gray[:, :, None], 3, axis=2)))
    return len(digits.target)


def run_demo(folder: Path, *, progress: Progress) -> Iterator[str]:
    """Train a CNN and a fully connected network on the digits; yield lines for the terminal."""
    data = folder / "digits"
    yield f"{write_digits(data)} handwritten digits in {data}"
    results = []
    for model in ("mlp", "cnn"):
        yield f"{command('saccade', 'train', data, '--model', model)} {FLAGS}"
        run = train(data, RECIPE.replace(model=model), progress=progress)
        results.append((model, run))
        yield run.summary
    for model, run in results:
        accuracy = run.metrics["test"]["accuracy"]
        parameters = run.facts["model"]["num_parameters"]
        yield f"{model}: test accuracy {accuracy}, {parameters:,} parameters"
    yield f"report: {results[-1][1].report}"
