"""Whether looking at pictures costs the same each, and stays in memory, up to a million rows.

Tables of 10,000 and 100,000 rows name as many small pictures, all different; the one of 1,000,000
names 10,000 files a hundred times each. Goals: microseconds a picture within 20 % of the smallest
table's, and no process above 2 GB.
"""

import argparse
import csv
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
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

MOST_FILES, REUSED_FILES, SMALL_ROWS = 100_000, 10_000, 200
CLASSES = ("red", "green", "blue", "dark")
GOAL_RATIO, GOAL_MB = 1.2, 2048
SCAN = """
import json, sys, time
import saccade
begun = time.perf_counter()
catalog = saccade.scan(sys.argv[1])
print(json.dumps({"inside": time.perf_counter() - begun, "rows": len(catalog)}))
"""
STAGES = {
    "scan": "saccade.scan, from Python",
    "check": "saccade check: scan, split, findings",
    "train": "saccade train --unfreeze 0, 32 px: scan, canvases, features, head, test, report",
}


def main() -> None:
    """Measure, and write the table."""
    asked = _arguments()
    folder, known = record_folder("scale", asked), places(asked)
    runs = [run for run in read_runs(folder) if not run["code"]]
    done = {(run["stage"], run["rows"], run["repeat"]) for run in runs}
    open_record(folder, {"saccade": sys.executable}, known)
    for stage, rows, repeat in _plan(asked):
        if (stage, rows, repeat) not in done:
            run = {"stage": stage, "rows": rows, "repeat": repeat, **_run(stage, rows, asked)}
            run["error"] = scrub(run["error"], known)
            add_run(folder, run)
            said = run["error"][-400:] or f"{run['seconds']:.1f} s, {run['peak_mb']:.0f} MB"
            print(f"{stage}, {rows:,} rows: {said}", flush=True)
    lines = table(read_runs(folder))
    write_table(folder, lines, sentence=lines[-1])


def _arguments() -> argparse.Namespace:
    words = parser(__doc__)
    words.add_argument("--rows", type=_numbers, default=(10_000, 100_000, 1_000_000))
    words.add_argument("--train-rows", type=int, default=100_000, help="train with at most these")
    words.add_argument("--repeats", type=int, default=3, help="up to 100,000 rows")
    words.add_argument("--stages", type=lambda own: own.split(","), default=list(STAGES))
    return parsed(words)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(own) for own in text.split(","))


def _plan(asked: argparse.Namespace) -> Iterator[tuple[str, int, int]]:
    """Yield stage, rows and repeat, in turns; a table of more than 100,000 rows is read once."""
    for repeat in range(asked.repeats):
        for rows in [SMALL_ROWS, *asked.rows]:
            for stage in asked.stages:
                too_long = stage == "train" and rows > asked.train_rows
                if not too_long and (repeat == 0 or rows <= MOST_FILES):
                    yield stage, rows, repeat


def _num_files(rows: int) -> int:
    return rows if rows <= MOST_FILES else REUSED_FILES


def _table(rows: int, work: Path, *, most: int) -> Path:
    """Return a CSV table of so many rows, written beside its pictures."""
    place = pictures.synthetic(work / f"synthetic_{most}", num=most, num_classes=len(CLASSES))
    path = place / f"{rows}.csv"
    if not path.exists():
        with path.open("w", encoding="utf-8", newline="") as file:
            out = csv.writer(file)
            out.writerow(["path", "label"])
            for row in range(rows):
                own = row % _num_files(rows)
                out.writerow([pictures.synthetic_name(own), CLASSES[own % len(CLASSES)]])
    return path


def _run(stage: str, rows: int, asked: argparse.Namespace) -> dict[str, Any]:
    most = max(map(_num_files, [SMALL_ROWS, *asked.rows]))
    data, output, cache = _table(rows, asked.work, most=most), asked.work / "run", asked.work / "c"
    for own in (output, cache):
        shutil.rmtree(own, ignore_errors=True)
    saccade = [sys.executable, "-m", "saccade"]
    network = ["--model", MODEL, "--weights", asked.weights, "--img-size", "32", "--unfreeze", "0"]
    words = {
        "scan": [sys.executable, "-c", SCAN, data],
        "check": [*saccade, "check", data, "--json"],
        "train": [*saccade, "train", data, *network, "--output", output, "--json"],
    }[stage]
    child = run_child(words, env={"SACCADE_CACHE": str(cache)}, timeout_seconds=4 * 3600)
    told = last_json(child.out) or {}
    facts = {"code": child.code, **child.costs, "files": _num_files(rows)}
    if child.code:
        return {**facts, "error": child.err[-1500:] + child.out[-1500:]}
    kept = {"inside": told["inside"]} if stage == "scan" else {}
    return {**facts, **kept, "stages": told.get("seconds", {}), "error": ""}


def table(runs: Sequence[dict[str, Any]]) -> list[str]:
    """Return table.md; the last line is the result in a sentence."""
    good = defaultdict(list)
    for run in runs:
        if not run["code"]:
            good[run["stage"], run["rows"]].append(run)
    lines = [
        "# Microseconds a picture and memory, by the number of rows",
        "",
        f"What a run of {SMALL_ROWS} rows takes (imports, network, page) is subtracted, except for",
        "scan, which is timed within its process. Peak: the largest process, resident.",
        "",
        "| stage | rows | files | seconds | µs a picture | × the smallest | peak MB | runs |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    worst, peak = 0.0, 0.0
    for stage in STAGES:
        sizes = sorted(rows for name, rows in good if name == stage and rows > SMALL_ROWS)
        first = _micros(good, stage, sizes[0]) if sizes else 0.0
        for rows in sizes:
            own, micros = good[stage, rows], _micros(good, stage, rows)
            seconds = median(run["seconds"] for run in own)
            own_peak = max(run["peak_mb"] for run in own)
            worst, peak = max(worst, micros / first), max(peak, own_peak)
            lines.append(
                f"| {stage} | {rows:,} | {own[0]['files']:,} | {seconds:.1f} | {micros:.0f} "
                f"| {micros / first:.2f} | {own_peak:,.0f} | {len(own)} |"
            )
    lines += ["", *(f"- {stage}: {words}" for stage, words in STAGES.items()), ""]
    sizes = sorted({rows for _, rows in good})
    skipped = [f"{s} of {n:,}" for s in STAGES for n in sizes if (s, n) not in good]
    lines += [f"Not run: {', '.join(skipped)}.", ""] if skipped else []
    failed = [f"{run['stage']} of {run['rows']:,}" for run in runs if run["code"]]
    lines += [f"Failed at some time: {', '.join(failed)}.", ""] if failed else []
    flat = "met" if worst <= GOAL_RATIO else "not met"
    small = "met" if peak <= GOAL_MB else "not met"
    lines.append(
        f"flat within 20 %: {flat} (at most {worst:.2f} times the smallest table's cost); "
        f"{GOAL_MB} MB: {small} (peak {peak:,.0f} MB)"
    )
    return lines


def _micros(good: Mapping[tuple[str, int], list[dict[str, Any]]], stage: str, rows: int) -> float:
    """Return microseconds a picture, without what is paid once."""
    runs = good[stage, rows]
    if "inside" in runs[0]:
        return median(run["inside"] for run in runs) / rows * 1e6
    start = median([run["seconds"] for run in good.get((stage, SMALL_ROWS), [])] or [0.0])
    micros = (median(run["seconds"] for run in runs) - start) / (rows - SMALL_ROWS) * 1e6
    return max(1.0, micros)


if __name__ == "__main__":
    main()
