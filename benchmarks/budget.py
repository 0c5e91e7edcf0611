"""Whether a budget holds: ten runs of 20, 60 and 180 seconds, three of them slowed down on purpose.

Each must end within its budget plus 2 s (5 % where that is more), counted from outside, from before
the process is started until it is gone, with a model that `saccade predict` accepts.
"""

import argparse
import csv
import io
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pictures
from methods import MODEL
from records import (
    add_run,
    last_json,
    open_record,
    parsed,
    parser,
    places,
    read_runs,
    record_folder,
    run_child,
    scrub,
    write_table,
)

PLAN = (  # seconds, what is slowed down; in an order that mixes them
    (20, ""), (60, "evaluate"), (20, "decode"), (180, ""), (20, ""),
    (60, ""), (180, "decode"), (20, ""), (60, ""), (180, ""),
)  # fmt: skip
PAUSES = {"decode": 0.02, "evaluate": 0.2}  # seconds a picture, seconds a batch


def main() -> None:
    """Measure, and write the table."""
    asked = _arguments()
    folder, known = record_folder("budget", asked), places(asked)
    open_record(folder, {"saccade": sys.executable}, known)
    for number in range(len(read_runs(folder)), len(PLAN[: asked.runs])):
        budget, slowed = PLAN[number]
        run = {"budget": budget, "slowed": slowed, **_run(budget, slowed, asked)}
        run["error"] = scrub(run["error"], known)
        add_run(folder, run)
        said = run["error"][-400:] or f"{run['seconds']:.1f} s"
        print(f"{number + 1}/{len(PLAN)}: {budget} s {slowed}: {said}", flush=True)
    lines = table(read_runs(folder))
    write_table(folder, lines, sentence=lines[-1])


def _arguments() -> argparse.Namespace:
    words = parser(__doc__, data="folder with train/ and val/")
    words.add_argument("--runs", type=int, default=len(PLAN), help="only the first of the ten")
    return parsed(words)


def _run(budget: int, slowed: str, asked: argparse.Namespace) -> dict[str, Any]:
    output, cache = asked.work / "run", asked.work / "cache"
    for own in (output, cache):
        shutil.rmtree(own, ignore_errors=True)
    cache.mkdir(parents=True)
    saccade = [sys.executable, "-m", "saccade"]
    wrapper = [sys.executable, Path(__file__).with_name("slowed.py")]
    slow = [*wrapper, f"{slowed}={PAUSES[slowed]}"] if slowed else saccade
    told = ["--model", MODEL, "--weights", asked.weights, "--output", output, "--json"]
    child = run_child(
        [*slow, "train", asked.data, "--budget", f"{budget}s", *told],
        env={"SACCADE_CACHE": str(cache)},
        timeout_seconds=10 * budget + 300,
    )
    facts = {"code": child.code, **child.costs, "limit": budget + max(2.0, 0.05 * budget)}
    if child.code:
        return {**facts, "predicts": False, "error": child.err[-1500:] + child.out[-1500:]}
    document = last_json(child.out) or {}
    accuracy = document.get("metrics", {}).get("test", {}).get("accuracy", {}).get("value")
    picture = asked.data / "val" / pictures.pictures_in(asked.data / "val")[0]
    answer = run_child([*saccade, "predict", output, picture])
    rows = list(csv.DictReader(io.StringIO(answer.out)))
    return {
        **facts,
        "accuracy": accuracy,
        "stages": document.get("seconds", {}),
        "predicts": answer.code == 0 and len(rows) == 1,
        "error": answer.err[-1500:] if answer.code else "",
    }


def table(runs: Sequence[dict[str, Any]]) -> list[str]:
    """Return table.md; the last line is the result in a sentence."""
    lines = [
        "# Does a budget hold?",
        "",
        "Seconds from before the process is started until it is gone, cold cache. Slowed down:",
        ", ".join(f"{part} by {pause} s a call" for part, pause in PAUSES.items()) + ".",
        "",
        "| budget | slowed | seconds | allowed | in time | predicts | test accuracy |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    held = 0
    for run in runs:
        in_time = run["code"] == 0 and run["seconds"] <= run["limit"]
        held += in_time and run["predicts"]
        accuracy = run.get("accuracy")
        lines.append(
            f"| {run['budget']} s | {run['slowed'] or '–'} | {run['seconds']:.1f} "
            f"| {run['limit']:.0f} | {_yes(in_time)} | {_yes(run['predicts'])} "
            f"| {'–' if accuracy is None else f'{accuracy:.3f}'} |"
        )
    verdict = "met" if held == len(runs) else "not met"
    return [*lines, "", f"{verdict}: {held} of {len(runs)} runs held their budget"]


def _yes(good: bool) -> str:
    return "yes" if good else "**no**"


if __name__ == "__main__":
    main()
