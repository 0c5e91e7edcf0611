"""Picture folders to measure on: parts of given ones, multiplied ones, CIFAR-10, synthetic ones.

Each is written once into the work folder and found there the next time.
"""

import io
import json
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}
PARTS = ("train", "val")


def pictures_in(folder: Path) -> list[Path]:
    """Return the pictures below a folder, sorted, relative to it."""
    found = (own for own in folder.rglob("*") if own.suffix.lower() in SUFFIXES)
    return sorted(own.relative_to(folder) for own in found)


def truth(folder: Path) -> dict[str, str]:
    """Return the class of every picture of a validation folder, by its name there."""
    return {own.as_posix(): own.parent.name for own in pictures_in(folder)}


def sample(source: Path, target: Path, *, per_part: int) -> Path:
    """Return a copy of a train/val folder with at most so many pictures a part, class by class."""

    def write(place: Path) -> None:
        for part in PARTS:
            of_class = defaultdict(list)
            for own in pictures_in(source / part):
                of_class[own.parent.name].append(own)
            for own in list(_in_turn(of_class))[:per_part]:
                (place / part / own).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source / part / own, place / part / own)

    return _once(target, write)


def multiplied(source: Path, target: Path, *, times: int) -> Path:
    """Return a copy of a train/val folder in which every picture is there several times.

    The copies differ in bytes and slightly in pixels (a border of one pixel more is cut off each
    time, and another JPEG quality), so that nothing keyed by content can skip them.
    """

    def write(place: Path) -> None:
        for part in PARTS:
            for own in pictures_in(source / part):
                (place / part / own).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source / part / own, place / part / own)
                for copy in range(1, times):
                    name = own.with_name(f"{own.stem}_{copy}.jpg")
                    _write_copy(source / part / own, place / part / name, copy)

    return _once(target, write)


def _write_copy(source: Path, target: Path, copy: int) -> None:
    with Image.open(source) as picture:
        upright = ImageOps.exif_transpose(picture).convert("RGB")
    ImageOps.crop(upright, border=copy).save(target, quality=93 - copy)


def cifar(parquet: Path, target: Path, *, num_train: int, num_val: int, side_px: int = 96) -> Path:
    """Return a train/val folder of CIFAR-10 pictures, equally many a class, enlarged once."""

    def write(place: Path) -> None:
        from pyarrow.parquet import read_table

        table = read_table(parquet, columns=["image", "label"])
        labels = np.asarray(table["label"].to_pylist())
        shuffled = np.random.default_rng(0).permutation(len(labels))
        classes = sorted(set(labels.tolist()))
        sizes = num_train // len(classes), num_val // len(classes)
        for name in classes:
            rows = shuffled[labels[shuffled] == name][: sum(sizes)]
            for part, own in zip(PARTS, np.split(rows, sizes[:1]), strict=True):
                (place / part / str(name)).mkdir(parents=True)
                for row in own:
                    content = table["image"][int(row)].as_py()["bytes"]
                    with Image.open(io.BytesIO(content)) as picture:
                        large = picture.convert("RGB").resize((side_px, side_px), Image.BICUBIC)
                    large.save(place / part / str(name) / f"{row:05d}.jpg", quality=95)

    return _once(target, write)


def synthetic(target: Path, *, num: int, num_classes: int = 4) -> Path:
    """Return a folder of small pictures, all different: coloured noise, a tint a class."""

    def write(place: Path) -> None:
        folders = range((num + 999) // 1000)
        for own in folders:
            (place / f"{own:04d}").mkdir(parents=True)
        with ProcessPoolExecutor() as pool:
            draw = partial(_write_thousand, place, num=num, num_classes=num_classes)
            list(pool.map(draw, folders))
        (place / "about.json").write_text(json.dumps({"num": num, "classes": num_classes}))

    return _once(target, write)


def synthetic_name(number: int) -> str:
    """Return the name of a synthetic picture within its folder."""
    return f"{number // 1000:04d}/{number:07d}.jpg"


def _write_thousand(place: Path, folder: int, *, num: int, num_classes: int) -> None:
    for number in range(folder * 1000, min(num, (folder + 1) * 1000)):
        rng = np.random.default_rng(number)
        tint = np.zeros(3)
        tint[number % num_classes % 3] = 60 if number % num_classes < 3 else -60
        coarse = np.clip(rng.integers(60, 196, (6, 6, 3)) + tint, 0, 255).astype(np.uint8)
        side = int(rng.integers(32, 49))
        picture = Image.fromarray(coarse).resize((side, side), Image.BICUBIC)
        picture.save(place / synthetic_name(number), quality=90)


def _in_turn(of_class: dict[str, list[Path]]) -> Iterator[Path]:
    """Yield the first picture of every class, then the second of every class, and so on."""
    for position in range(max(map(len, of_class.values()))):
        for own in of_class.values():
            if position < len(own):
                yield own[position]


def _once(target: Path, write: Callable[[Path], None]) -> Path:
    if not target.exists():
        unfinished = target.with_name(f"{target.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        write(unfinished)
        unfinished.rename(target)
    return target
