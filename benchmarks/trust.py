"""What it costs to say how far a result can be trusted: the studies of a run, beside the run.

3,000 pictures (CIFAR-10 enlarged to 96 px, asked about at 224), frozen backbone with a solved head,
or with --ladder the whole climb, several times. Goal: all studies together add less than 20 s. The
search for copies is part of the scan, and not told apart.
"""

import json
import shutil
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pictures
from methods import METHODS, Setting, command, environment
from records import (
    add_run,
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

GOAL_SECONDS = 20
NUM_TRAIN, NUM_VAL = 2400, 600


def main() -> None:
    """Measure, and write the table."""
    words = parser(__doc__, data="holds cifar10.parquet")
    words.add_argument("--repeats", type=int, default=3)
    words.add_argument("--ladder", action="store_true", help="stages learn too")
    asked = parsed(words)
    folder, known = record_folder("trust", asked), places(asked)
    asked.work.mkdir(parents=True, exist_ok=True)
    data = pictures.cifar(
        asked.data / "cifar10.parquet",
        asked.work / f"cifar_{NUM_TRAIN + NUM_VAL}",
        num_train=NUM_TRAIN,
        num_val=NUM_VAL,
    )
    open_record(folder, {"saccade": sys.executable}, known)
    setting = Setting(weights=asked.weights, work=asked.work, peers_python=Path(sys.executable))
    for repeat in range(len(read_runs(folder)), asked.repeats):
        run = {"repeat": repeat, **_run(data, setting, ladder=asked.ladder)}
        run["error"] = scrub(run.get("error", ""), known)
        add_run(folder, run)
        print(f"{repeat + 1}/{asked.repeats}: {run['error'][-300:] or run['studies']}", flush=True)
    lines = table(read_runs(folder))
    write_table(folder, lines, sentence=lines[-1].strip("*"))


def _run(data: Path, setting: Setting, *, ladder: bool) -> dict[str, Any]:
    for own in (setting.run, setting.cache):
        shutil.rmtree(own, ignore_errors=True)
    method = METHODS["saccade_auto" if ladder else "saccade_head"]
    words = command(method, data, seed=0, setting=setting)
    child = run_child(words, env=environment(method, setting))
    run: dict[str, Any] = {"code": child.code, **child.costs}
    if child.code:
        return {**run, "error": child.err[-1000:]}
    facts = json.loads((setting.run / "run.json").read_text(encoding="utf-8"))
    trust = json.loads((setting.run / "trust.json").read_text(encoding="utf-8"))
    return {
        **run,
        "ladder": ladder,
        "stages": facts["seconds"],
        "studies": trust["seconds"],
        "left_out": trust["left_out"],
    }


def table(runs: Sequence[dict[str, Any]]) -> list[str]:
    """Return table.md."""
    runs = [run for run in runs if not run["code"]]
    studies = {name: [run["studies"][name] for run in runs] for name in runs[0]["studies"]}
    whole = [sum(run["studies"].values()) for run in runs]
    scans = [run["stages"]["scan"] for run in runs]
    lines = [
        "# What trust costs",
        "",
        f"{NUM_TRAIN + NUM_VAL} pictures, {_learned(runs[0])}, {len(runs)} runs; "
        "median (least to most).",
        "",
        "| what | seconds |",
        "| --- | --- |",
        *(f"| {name} | {_middle(own)} |" for name, own in studies.items()),
        f"| together | {_middle(whole)} |",
        f"| the scan, with the search for copies | {_middle(scans)} |",
        f"| the whole run | {_middle([run['seconds'] for run in runs])} |",
        "",
        *(f"Left out: {reason}" for reason in runs[-1]["left_out"].values()),
        "",
    ]
    middle = statistics.median(whole)
    verdict = "met" if middle < GOAL_SECONDS else "not met"
    told = f"{middle:.1f} s for {NUM_TRAIN + NUM_VAL} pictures, {_learned(runs[0])}"
    lines.append(f"**{verdict}: {told}; goal 20 s**")
    return lines


def _learned(run: dict[str, Any]) -> str:
    return "stages that learned" if run.get("ladder") else "frozen backbone with a solved head"


def _middle(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds):.2f} ({min(seconds):.2f}–{max(seconds):.2f})"


if __name__ == "__main__":
    main()
