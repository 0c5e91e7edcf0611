"""The methods that are compared: how each is called, and how its answers are read."""

import csv
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MODEL = "mobilenetv2_100"
PEERS = Path(__file__).resolve().parent / "peers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One way from a folder of pictures to a model, as its own documentation recommends it."""

    title: str
    script: str = ""  # a peer's file in peers/; empty = saccade
    flags: tuple[str, ...] = ()
    warm: bool = False  # a second run on the cache of the first; never the headline

    @property
    def ours(self) -> bool:
        """Whether it is saccade."""
        return not self.script


METHODS = {
    "saccade_head": Method(title="saccade --unfreeze 0", flags=("--unfreeze", "0")),
    "saccade_head_bare": Method(
        title="saccade --unfreeze 0 --no-trust", flags=("--unfreeze", "0", "--no-trust")
    ),
    "saccade_auto_bare": Method(title="saccade --no-trust", flags=("--no-trust",)),
    "saccade_auto": Method(title="saccade (default)", flags=("--unfreeze", "auto")),
    "saccade_20s": Method(title="saccade --budget 20s", flags=("--budget", "20s")),
    "saccade_60s": Method(title="saccade --budget 60s", flags=("--budget", "60s")),
    "tutorial_frozen": Method(
        title="PyTorch tutorial, frozen body", script="tutorial.py", flags=("--frozen",)
    ),
    "tutorial_all": Method(title="PyTorch tutorial, everything", script="tutorial.py"),
    "fastai": Method(title="fastai fine_tune(4)", script="fastai_finetune.py"),
    "expert": Method(title="timm + torch, done well", script="expert.py"),
    "saccade_head_warm": Method(
        title="saccade --unfreeze 0, warm cache", flags=("--unfreeze", "0"), warm=True
    ),
    "saccade_auto_warm": Method(
        title="saccade (default), warm cache", flags=("--unfreeze", "auto"), warm=True
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Where everything is on this machine."""

    weights: Path
    work: Path
    peers_python: Path

    @property
    def run(self) -> Path:
        """The run folder that saccade writes, or the table that a peer writes."""
        return self.work / "answers"

    @property
    def cache(self) -> Path:
        """The cache folder of saccade, emptied before each cold run."""
        return self.work / "cache"


def command(
    method: Method, data: Path, *, seed: int, setting: Setting, size_px: int = 0
) -> list[str]:
    """Return the command line of one run; a peer's start time is appended when it is started.

    Input of `size_px`; 0 = what the weights were trained with.
    """
    told = ["--weights", setting.weights, "--output", setting.run, "--seed", seed]
    if method.ours:
        program = [sys.executable, "-m", "saccade", "train", data, "--model", MODEL, "--json"]
    else:
        program = [setting.peers_python, PEERS / method.script, "--data", data]
    if size_px:
        told += ["--img-size" if method.ours else "--size", size_px]
    return [str(word) for word in [*program, *told, *method.flags]]


def environment(method: Method, setting: Setting) -> dict[str, str]:
    """Return what a run's environment has beside ours; nothing may be asked of a hub."""
    offline = {"HF_HUB_OFFLINE": "1"}
    return offline | ({"SACCADE_CACHE": str(setting.cache)} if method.ours else {})


def answers(method: Method, setting: Setting) -> dict[str, str]:
    """Return the label that was given to each validation picture, by its name in the val folder.

    saccade's table holds every picture; those of the val folder are asked for whatever part they
    were given, so that none can be left out of the count.
    """
    path = setting.run / "predictions.csv" if method.ours else setting.run
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if not method.ours:
        return {row["file"]: row["label"] for row in rows}
    return {
        row["file"].removeprefix("val/"): row["prediction"]
        for row in rows
        if row["file"].startswith("val/")
    }


def curve(method: Method, setting: Setting, out: str) -> list[dict[str, Any]]:
    """Return points of accuracy against seconds that the run told of while it went on.

    A peer tells its accuracy on the val folder after each epoch. saccade does not look at that
    folder before the end: its points are rungs, measured on its own validation part.
    """
    if not method.ours:
        lines = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
        return [
            {"seconds": own["seconds"], "score": own["validation_accuracy"], "on": "val"}
            for own in lines
            if own["kind"] == "epoch" or own is lines[-1]
        ]
    path = setting.run / "history.jsonl"
    events = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        {"seconds": own["at_seconds"], "score": own["validation_score"], "on": "own"}
        for own in events
        if own.get("at_seconds") is not None and own.get("validation_score") is not None
    ]


def stages(method: Method, setting: Setting) -> dict[str, Any]:
    """Return what saccade itself says of its seconds and of the pictures it learned from."""
    if not method.ours:
        return {}
    facts = json.loads((setting.run / "run.json").read_text(encoding="utf-8"))
    counted = facts.get("split", {}).get("counts", {})
    return {
        "stages": facts.get("seconds", {}),
        "num_pictures": {part: sum(own.values()) for part, own in counted.items()},
    }
