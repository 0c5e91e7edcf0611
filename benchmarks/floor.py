"""Where the seconds of a run go, beside the least that each stage could cost here.

A head-only run, one with the ladder, and the raw loops of floors.py take turns, each in a process
of its own, several times; the table holds medians. Goal: the whole head-only run within 1.6 times
the sum of what it cannot do without.
"""

import argparse
import json
import math
import shutil
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pictures
from floors import STEP_BATCH
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
    "import": DOOR,  # what cannot be avoided: torch and those parts of timm that a network needs
    "import of all": "import torch, torchvision, timm",
}
LEAST = ("python", "import", "decode", "convert", "forward")
"""Stages that no head-only run can do without; of the forward pass the quickest kind."""
FLOOR_OF = {  # a stage of run.json -> the floor it is compared with
    "start": "python",  # what the run itself cannot see: the interpreter's start, and the exit
    "load": "import",
    "scan": "decode",
    "convert": "convert",
    "forward": "forward",
}
WHY = {
    "start": "the command line is built, and the process ends, outside of the run's own clock",
    "load": "beside decoding, in another process",
    "scan": "hashes, looks, and the search for copies; decoding itself runs beside `load`",
    "convert": "with OpenVINO's own import, and tracing of each stage's boundary",
    "forward": "in fp32, for what bf16 says could not be tested (docs/log.md)",
    "head": "all penalties cross-validated; no raw loop is the same work",
    "build": "the network and its weights",
    "predict": "tables of answers; the pass above gave the answers",
    "calibrate": "calibration and limits, cross-fitted",
    "evaluate": "every metric with its interval",
    "save": "model, hashes, and golden pictures predicted by the model as it was saved",
    "report": "the page, with its pictures",
}
"""Stage -> what it does beside its floor, or instead of one."""


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
    found = [_ours(asked), _ladder(asked)]
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
    """Return a head-only run and its stages; what the studies cost is told by trust.py."""
    run, setting = _run(asked, "saccade_head_bare")
    if run["code"]:
        return run
    facts = stages(METHODS["saccade_head_bare"], setting)
    (head,) = _events(setting.run, "head")
    learn = facts["stages"].pop("learn")
    parts = {
        "convert": head["open_seconds"],
        "forward": head["forward_seconds"],
        "head": head["seconds"],
    }
    own = {**facts["stages"], **parts, "rest of learning": learn - sum(parts.values())}
    return {**run, **facts, "stages": own, "n": len(pictures.pictures_in(asked.data))}


def _ladder(asked: argparse.Namespace) -> dict[str, Any]:
    """Return the seconds that a run's rungs took, and of how many steps they were."""
    run, setting = _run(asked, "saccade_auto_bare")
    if run["code"]:
        return {**run, "what": "rungs"}
    facts = json.loads((setting.run / "run.json").read_text(encoding="utf-8"))
    num = sum(facts["split"]["counts"]["train"].values())
    rungs = _events(setting.run, "rung")
    epochs = len([own for own in _events(setting.run, "epoch") if own.get("rung") is not None])
    return {
        "what": "rungs",
        "code": 0,
        "seconds": sum(own["seconds"] for own in rungs),
        "steps": epochs * math.ceil(num / STEP_BATCH),
    }


def _run(asked: argparse.Namespace, name: str) -> tuple[dict[str, Any], Setting]:
    setting = Setting(weights=asked.weights, work=asked.work, peers_python=Path(sys.executable))
    for own in (setting.run, setting.cache):
        shutil.rmtree(own, ignore_errors=True)
        own.parent.mkdir(parents=True, exist_ok=True)
    words = command(METHODS[name], asked.data, seed=0, setting=setting)
    child = run_child(words, env=environment(METHODS[name], setting))
    run = {"what": "saccade", "code": child.code, **child.costs}
    return (run | {"error": child.out[-1000:]} if child.code else run), setting


def _events(run: Path, kind: str) -> list[dict[str, Any]]:
    lines = (run / "history.jsonl").read_text(encoding="utf-8").splitlines()
    return [own for own in map(json.loads, lines) if own["event"] == kind]


def table(runs: Sequence[dict[str, Any]]) -> list[str]:
    """Return table.md."""
    runs = [run for run in runs if not run["code"]]
    ours = [run for run in runs if run["what"] == "saccade"]
    floors = {
        what: statistics.median(run["seconds"] for run in runs if run["what"] == what)
        for what in dict.fromkeys(run["what"] for run in runs)
        if what not in {"saccade", "rungs"}
    }
    opened = [run["import_seconds"] for run in runs if run["what"] == "convert"]
    floors["import"] -= floors["python"]
    floors["convert"] += statistics.median(opened)  # what converts is imported then
    return [
        "# A run against the floor",
        "",
        f"{ours[0]['n']} pictures, {len(ours)} repeats in turns, medians; a head-only run, and the",
        "rungs of another. A floor is a raw loop around the same library. Stages that overlap in",
        "time are each counted whole.",
        "",
        "| stage | seconds | floor | floor, s | ratio | what else it does |",
        "| --- | --- | --- | --- | --- | --- |",
        *_stage_rows(ours, floors),
        *_rung_rows([run for run in runs if run["what"] == "rungs"], floors["step"]),
        "",
        "Floors, s: " + ", ".join(f"{name} {own:.2f}" for name, own in floors.items()) + ".",
        "",
        *_verdict([run["seconds"] for run in ours], floors),
    ]


def _verdict(seconds: Sequence[float], floors: dict[str, float]) -> list[str]:
    """Return how far the whole run is above the floor, by several floors, the goal's last."""
    total = statistics.median(seconds)
    quickest = "forward_bf16" if "forward_bf16" in floors else "forward"
    parts = [quickest if own == "forward" else own for own in LEAST]
    least = sum(floors[own] for own in parts)
    others = {
        "with the forward pass in fp32, as what ships answers": least
        - floors[quickest]
        + floors["forward"],
        "without conversion": least - floors["convert"],
    }
    lines = [f"- {what}: {total / own:.2f} times {own:.2f} s" for what, own in others.items()]
    verdict = "met" if total <= GOAL * least else "not met"
    spread = f"{min(seconds):.2f}–{max(seconds):.2f}"
    told = (
        f"**{verdict}: {total:.2f} s ({spread}) is {total / least:.2f} times the floor of "
        f"{least:.2f} s ({' + '.join(parts)}); goal {GOAL}**"
    )
    return [*lines, "", told]


def _rung_rows(ladders: Sequence[dict[str, Any]], step: float) -> list[str]:
    if not ladders:
        return []
    seconds = statistics.median(run["seconds"] for run in ladders)
    steps = statistics.median(run["steps"] for run in ladders)
    raw = steps * step
    return [
        f"| rungs (another run) | {seconds:.2f} | {steps:.0f} raw steps | {raw:.2f} | "
        f"{seconds / max(raw, 1e-9):.2f} | the raw step is that of the whole network, batch "
        f"{STEP_BATCH}; a rung's begins at kept activations |"
    ]


def _stage_rows(ours: Sequence[dict[str, Any]], floors: dict[str, float]) -> list[str]:
    seconds: dict[str, list[float]] = {"start": []}
    for run in ours:
        told = {name: own for name, own in run["stages"].items() if isinstance(own, float | int)}
        seconds["start"].append(run["seconds"] - told.get("total", run["seconds"]))
        for name, own in told.items():
            seconds.setdefault(name, []).append(own)
    rows = []
    for name, own in seconds.items():
        middle, floor = statistics.median(own), FLOOR_OF.get(name, "")
        told = ["–"] * 3
        if floor:
            told = [floor, f"{floors[floor]:.2f}", f"{middle / max(floors[floor], 1e-9):.2f}"]
        cells = [name, f"{middle:.2f}", *told, WHY.get(name, "")]
        rows.append("| " + " | ".join(cells) + " |")
    return rows


if __name__ == "__main__":
    main()
