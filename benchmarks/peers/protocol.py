"""What every peer is told and what it tells back, so that the harness can treat all alike.

A peer is one process: it gets the data, the weights, a seed and the moment at which it was
started (the system-wide monotonic clock, so that its imports count), prints one JSON line an epoch
and one at the end, and writes what it says of each validation picture.
"""

import argparse
import csv
import json
import time
from collections.abc import Mapping
from pathlib import Path

MODEL = "mobilenetv2_100"


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser of the arguments that every peer takes."""
    words = argparse.ArgumentParser(description=description)
    words.add_argument("--data", type=Path, required=True, help="folder with train/ and val/")
    words.add_argument("--weights", type=Path, required=True, help="safetensors of the backbone")
    words.add_argument("--output", type=Path, required=True, help="CSV: file, label")
    words.add_argument("--size", type=int, default=224, help="side of the input, pixels")
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--started", type=float, default=time.monotonic(), help="monotonic clock")
    return words


def around(size: int) -> int:
    """Return the side of the picture from which the centre is cut: 256 for 224."""
    return round(size * 256 / 224)


def tell(kind: str, *, started: float, accuracy: float) -> None:
    """Print one line: `epoch` or `final`, seconds since the process was asked for, accuracy."""
    seconds = round(time.monotonic() - started, 3)
    line = {"kind": kind, "seconds": seconds, "validation_accuracy": round(accuracy, 6)}
    print(json.dumps(line), flush=True)


def write_answers(path: Path, answers: Mapping[str, str]) -> None:
    """Write the label given to each validation picture, named relative to the val folder."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "label"])
        table.writerows(sorted(answers.items()))
