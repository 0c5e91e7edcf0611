"""Seconds from cold process start to a finished model, and its accuracy on the same pictures.

saccade and its peers learn from the same folders, from the same weights, on the same machine, one
after another in turns; each names what it sees on every picture of the val folder, and one scorer
counts. See benchmarks/README.md for what counts as cold, and for the commands.
"""

import argparse
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import comparison
import curves
import pictures
from methods import METHODS, Method, Setting, answers, command, curve, environment, stages
from records import (
    Child,
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

WHAT = "time_to_accuracy"
SETS = ("flowers", "antsbees", "cifar")
SIZES_PX = {"cifar": 96}  # of the input; otherwise what the weights were trained with


def main() -> None:
    """Measure what is asked for and not there yet, then write the table and the curves."""
    asked = _arguments()
    setting = Setting(weights=asked.weights, work=asked.work, peers_python=asked.peers_python)
    sets = _sets(asked)
    folder = record_folder(WHAT, asked)
    done = {(r["set"], r["method"], r["seed"]) for r in read_runs(folder) if not r["code"]}
    todo = [unit for unit in _plan(list(sets), asked) if unit not in done]
    for name, method, seed in todo:
        print(f"to run: {name}, {METHODS[method].title}, seed {seed}")
    if asked.dry:
        return
    known = {**places(asked), "PEERS": asked.peers_python.parents[1]}
    if todo:
        open_record(folder, {"saccade": sys.executable, "peers": asked.peers_python}, known)
        _rehearse(sets[todo[0][0]], setting)
    for number, (name, method, seed) in enumerate(todo):
        size_px = SIZES_PX.get(name.split("_")[0], 0)
        run = _run(sets[name], METHODS[method], seed, setting, size_px)
        run = {"set": name, "method": method, "seed": seed, **run}
        run["error"] = scrub(run["error"], known)
        add_run(folder, run)
        print(f"{number + 1}/{len(todo)}: {name}, {method}, seed {seed}: ", end="")
        print(run["error"][-400:] or f"{run['seconds']:.1f} s, {run['accuracy']:.3f}", flush=True)
    if runs := read_runs(folder):
        write_table(folder, comparison.table(runs), sentence=comparison.sentence(runs))
        (folder / "curves.svg").write_text(curves.draw(runs), encoding="utf-8")


def _arguments() -> argparse.Namespace:
    words = parser(__doc__, data="holds flowers/, antsbees/, cifar10.parquet")
    words.add_argument("--peers-python", type=Path, required=True, help="its python executable")
    words.add_argument("--sets", type=_names(SETS), default=SETS, help="some of: " + ",".join(SETS))
    words.add_argument("--only", type=_names(tuple(METHODS)), default=tuple(METHODS))
    words.add_argument("--seeds", type=_numbers, default=(0, 1, 2))
    words.add_argument("--times", type=int, default=1, help="each picture so many times, timing")
    words.add_argument("--limit", type=int, default=0, help="pictures a part, to try the script")
    words.add_argument("--dry", action="store_true", help="say what would be run")
    asked = parsed(words)
    asked.peers_python = asked.peers_python.absolute()  # a link whose target knows no packages
    return asked


def _names(known: Sequence[str]) -> Any:  # noqa: ANN401 - a parser for argparse
    def parse(text: str) -> tuple[str, ...]:
        names = tuple(text.split(","))
        if unknown := set(names) - set(known):
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
        return names

    return parse


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(own) for own in text.split(","))


def _sets(asked: argparse.Namespace) -> dict[str, Path]:
    """Return the train/val folder of each set, written on first use where it is not given."""
    found = {}
    for name in asked.sets:
        if name == "cifar":
            table, target = asked.data / "cifar10.parquet", asked.work / "cifar_5000"
            place = pictures.cifar(table, target, num_train=4000, num_val=1000)
        else:
            place = asked.data / name
        if asked.limit:
            name = f"{name}_{asked.limit}"
            place = pictures.sample(place, asked.work / name, per_part=asked.limit)
        if asked.times > 1:
            name = f"{name}_x{asked.times}"
            place = pictures.multiplied(place, asked.work / name, times=asked.times)
        found[name] = place
    return found


def _plan(sets: Sequence[str], asked: argparse.Namespace) -> Iterator[tuple[str, str, int]]:
    """Yield what to run: all methods in turn for each seed and set, each time another one first.

    A warm run follows the cold run whose cache it finds.
    """
    cold = [own for own in asked.only if not METHODS[own].warm]
    warm = [own for own in asked.only if METHODS[own].warm]
    for seed in asked.seeds:
        turn = seed % max(1, len(cold))
        order = [own for first in cold[turn:] + cold[:turn] for own in (first, f"{first}_warm")]
        order += [own for own in warm if own not in order]
        for name in sets:
            yield from ((name, own, seed) for own in order if own in asked.only)


def _rehearse(place: Path, setting: Setting) -> None:
    """Use everything once, so that no method is the one that compiles or caches a package."""
    for child in (
        run_child([setting.peers_python, "-c", "import fastai.vision.all, timm"]),
        _start(place, METHODS["saccade_head"], 0, setting, cold=True),
    ):
        if child.code:
            sys.exit(f"the rehearsal failed:\n{child.err[-1000:]}")


def _run(place: Path, method: Method, seed: int, setting: Setting, size_px: int) -> dict[str, Any]:
    """Return all that one run cost and brought; `error` holds its last words where it failed."""
    mark = setting.work / "cache_is_of"
    whose = f"{place} {method.flags} {seed}"
    if method.warm and (not mark.exists() or mark.read_text(encoding="utf-8") != whose):
        _start(place, method, seed, setting, size_px, cold=True)
    child = _start(place, method, seed, setting, size_px, cold=not method.warm)
    mark.write_text(whose if method.ours else "", encoding="utf-8")
    facts: dict[str, Any] = {"code": child.code, **child.costs}
    if child.code:
        return {**facts, "error": child.err[-2000:] + child.out[-500:]}
    truth = pictures.truth(place / "val")
    given = answers(method, setting)
    right = [given.get(name) == label for name, label in truth.items()]
    return {
        **facts,
        "error": "",
        "num_train": len(pictures.pictures_in(place / "train")),
        "num_val": len(truth),
        "num_missing": sum(name not in given for name in truth),  # counted as wrong
        "accuracy": round(sum(right) / len(right), 6),
        "right": "".join("01"[own] for own in right),  # in the order of the files' names
        "curve": curve(method, setting, child.out),
        **stages(method, setting),
    }


def _start(
    place: Path, method: Method, seed: int, setting: Setting, size_px: int = 0, *, cold: bool
) -> Child:
    """Run one method on a clean desk; a cold one finds an empty cache."""
    _remove(setting.run)
    if cold:
        _remove(setting.cache)
        setting.cache.mkdir(parents=True)
    words = command(method, place, seed=seed, setting=setting, size_px=size_px)
    if not method.ours:
        words += ["--started", str(time.monotonic())]
    return run_child(words, env=environment(method, setting))


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
