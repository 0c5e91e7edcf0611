"""Where the seconds of a head-only run go, beside the least that each stage could cost here.

The run and the raw loops of floors.py take turns, each in a process of its own, several times; the
table holds medians. Goal: the whole run within 1.6 times decoding + forward + imports.
"""

import argparse
import json
import shutil
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pictures
from methods import METHODS, Setting, command, environment, stages
from records import (
    add_run,
    has_bf16,
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

GOAL = 1.6
DOOR = "from saccade.models import backbones; backbones.find('mobilenetv2_100')"
IMPORTS = {
    "python": "pass",
    "import": "import torch, torchvision, timm",
    "import by our door": DOOR,
}
FLOOR_OF = {  # a stage of run.json -> the floor it is compared with
    "start": "python",  # what the run itself cannot see: the interpreter's start, and the exit
    "load": "import",
    "import": "import",
    "scan": "decode",
    "decode": "decode",
    "convert": "convert",
    "forward": "forward",
    "features": "forward",
    "learn": "forward",  # features and the solved head together
}
WHY = {
    "start": "the command line is built, and the process ends, outside of the run's own clock",
    "scan": "hashes, looks, and the search for copies; decoding itself runs beside `load`",
    "learn": "the conversion (floor: convert) and the head, which has its own row, are in it; it "
    "answers in fp32 (floor: forward), for what bf16 says could not be tested",
}
"""Stage -> why it costs more than its floor; only what was found out by measuring."""


def main() -> None:
    """Measure, and write the table."""
    asked = _arguments()
    folder, known = record_folder("floor", asked), places(asked)
    open_record(folder, {"saccade": sys.executable}, known)
    begun = len({run["repeat"] for run in read_runs(folder)})
    for repeat in range(begun, asked.repeats):
        for run in _all(asked):
            run["error"] = scrub(run.get("error", ""), known)
            add_run(folder, {"repeat": repeat, **run})
            said = run["error"][-300:] or f"{run['seconds']:.2f} s"
            print(f"{repeat + 1}/{asked.repeats} {run['what']}: {said}", flush=True)
    lines = table(read_runs(folder))
    write_table(folder, lines, sentence=lines[-1].removeprefix("**").removesuffix("**"))


def _arguments() -> argparse.Namespace:
    words = parser(__doc__, data="folder with train/ and val/")
    words.add_argument("--repeats", type=int, default=5)
    return parsed(words)


def _all(asked: argparse.Namespace) -> list[dict[str, Any]]:
    """Return one measurement of everything, in turns."""
    raw = ["decode", "forward", *(["forward_bf16"] if has_bf16() else []), "convert", "step"]
    found = [_ours(asked)]
    for name, code in IMPORTS.items():
        child = run_child([sys.executable, "-c", code])
        found.append({"what": name, "code": child.code, **child.costs, "error": child.err[-500:]})
    script = Path(__file__).with_name("floors.py")
    for name in raw:
        child = run_child(
            [sys.executable, script, name, "--data", asked.data, "--weights", asked.weights]
        )
        told = last_json(child.out) or {}
        error = child.err[-1000:] if child.code else ""
        found.append({"what": name, "code": child.code, **child.costs, **told, "error": error})
    return found


def _ours(asked: argparse.Namespace) -> dict[str, Any]:
    setting = Setting(weights=asked.weights, work=asked.work, peers_python=Path(sys.executable))
    for own in (setting.run, setting.cache):
        shutil.rmtree(own, ignore_errors=True)
        own.parent.mkdir(parents=True, exist_ok=True)
    head = METHODS["saccade_head_bare"]  # what the studies cost is told by trust.py
    words = command(head, asked.data, seed=0, setting=setting)
    child = run_child(words, env=environment(head, setting))
    run = {"what": "saccade", "code": child.code, **child.costs}
    if child.code:
        return {**run, "error": child.out[-1000:]}
    num = len(pictures.pictures_in(asked.data))
    facts = stages(head, setting)
    facts["stages"]["head (in learn)"] = _seconds_of_head(setting.run)
    return {**run, **facts, "n": num}


def _seconds_of_head(run: Path) -> float:
    lines = (run / "history.jsonl").read_text(encoding="utf-8").splitlines()
    return float(next(e["seconds"] for e in map(json.loads, lines) if e["event"] == "head"))


def table(runs: Sequence[dict[str, Any]]) -> list[str]:
    """Return table.md."""
    runs = [run for run in runs if not run["code"]]
    ours = [run for run in runs if run["what"] == "saccade"]
    floors = {
        what: statistics.median(run["seconds"] for run in runs if run["what"] == what)
        for what in dict.fromkeys(run["what"] for run in runs)
        if what != "saccade"
    }
    forward = "forward_bf16" if "forward_bf16" in floors else "forward"
    floors["import"] -= floors["python"]
    parts = ("python", "import", "decode", forward)
    least = sum(floors[own] for own in parts)
    total = statistics.median(run["seconds"] for run in ours)
    spread = [run["seconds"] for run in ours]
    lines = [
        "# A head-only run against the floor",
        "",
        f"{ours[0]['n']} pictures, {len(ours)} repeats in turns, medians. A floor is a raw loop",
        "around the same library. Stages that overlap in time are each counted whole.",
        "",
        "| stage | seconds | floor | floor, s | ratio | why above |",
        "| --- | --- | --- | --- | --- | --- |",
        *_stage_rows(ours, floors, forward),
        "",
        "Floors, s: " + ", ".join(f"{name} {own:.2f}" for name, own in floors.items()) + ".",
        "A raw training step is that of the whole network at batch 32; no head-only run has one.",
        "",
    ]
    verdict = "met" if total <= GOAL * least else "not met"
    lines.append(
        f"**{verdict}: {total:.2f} s ({min(spread):.2f}–{max(spread):.2f}) is {total / least:.2f} "
        f"times the floor of {least:.2f} s ({' + '.join(parts)}); goal {GOAL}**"
    )
    return lines


def _stage_rows(
    ours: Sequence[dict[str, Any]], floors: dict[str, float], forward: str
) -> list[str]:
    seconds: dict[str, list[float]] = {"start": []}
    for run in ours:
        told = {name: own for name, own in run["stages"].items() if isinstance(own, float | int)}
        seconds["start"].append(run["seconds"] - told.get("total", run["seconds"]))
        for name, own in told.items():
            seconds.setdefault(name, []).append(own)
    rows = []
    for name, own in seconds.items():
        middle = statistics.median(own)
        floor = FLOOR_OF.get(name, "")
        key = forward if floor == "forward" else floor
        told = (
            [key, f"{floors[key]:.2f}", f"{middle / max(floors[key], 1e-9):.2f}"]
            if key in floors
            else ["–"] * 3
        )
        above = WHY.get(name, "")
        rows.append("| " + " | ".join([name, f"{middle:.2f}", *told, above]) + " |")
    return rows


if __name__ == "__main__":
    main()
