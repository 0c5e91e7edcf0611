"""The checks of a run's files, table, split and pictures; they need no network."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from saccade.data.decode import Unreadable
from saccade.data.labels import as_number, marked, pieces_of
from saccade.data.split import PARTS
from saccade.data.task import Task
from saccade.lesson import listing_of
from saccade.papers import Failed, NotChecked, Papers
from saccade.runtime.errors import MAX_LISTED, DataError, listed
from saccade.runtime.store import encode_name, sha256

MOVED = "Where they have moved, say to where: saccade verify RUN --data FOLDER (or TABLE)."


def files_can_be_read(papers: Papers) -> str:
    """Every file that the other checks rest on is there and whole."""
    if papers.unreadable:
        raise Failed("; ".join(f"{name}: {why}" for name, why in papers.unreadable.items()))
    return "run.json, recipe.toml, split.csv, predictions.csv and metrics.json are whole"


def files_are_the_same(papers: Papers) -> str:
    """The files that the run left have the hashes that it wrote down at its end."""
    known = papers.facts.get("files")
    if not isinstance(known, dict):
        raise NotChecked("this run was made before run.json held the hashes of its files")
    gone = [name for name in known if not (papers.folder / name).is_file()]
    changed = [
        name
        for name, expected in known.items()
        if name not in gone and sha256(papers.folder / name) != expected
    ]
    if gone or changed:
        told = [f"changed since the end of the run: {_names(changed)}"] if changed else []
        raise Failed("; ".join([*told, *([f"gone: {_names(gone)}"] if gone else [])]))
    return f"{_names(sorted(known), limit=20)} are the same to the byte as at the end of the run"


def page_is_the_one_written(papers: Papers) -> str:
    """The page that a person reads is the one that the run, or `saccade report`, wrote."""
    known = papers.facts.get("page")
    if not isinstance(known, str):
        raise NotChecked("this run was made before run.json held the hash of its page")
    path = papers.run.report
    if not path.is_file():
        raise NotChecked("report.html is gone; saccade report writes it anew")
    if sha256(path) != known:
        raise Failed("report.html was changed since it was written; saccade report writes it anew")
    return "report.html is the same to the byte as it was written"


def it_was_finished(papers: Papers) -> str:
    """The run came to its end, so that there was a test."""
    state = papers.run.state
    if state != "finished":
        raise Failed(f"the run is '{state}': it never came to its test")
    return "the run came to its end"


def table_and_split_agree(papers: Papers) -> str:
    """The rows of the table are those of the split, in its parts."""
    table, split = papers.table, papers.split
    listed_in = {row.path: row.part for row in split}
    missing = [path for path in table.paths if path not in listed_in]
    unasked = sorted(set(listed_in) - set(table.paths))
    if missing or unasked or len(table) != len(split):
        told = [f"predictions.csv has {len(table)} rows and split.csv {len(split)}"]
        told += [f"only in the former: {_names(missing)}"] if missing else []
        told += [f"only in the latter: {_names(unasked)}"] if unasked else []
        raise Failed("; ".join(told))
    moved = [
        path for path, part in zip(table.paths, table.parts, strict=True) if listed_in[path] != part
    ]
    if moved:
        raise Failed(f"split.csv and predictions.csv name another part for {_names(moved)}")
    sizes = {part: table.parts.count(part) for part in PARTS if part in table.parts}
    counts = ", ".join(f"{size} {part}" for part, size in sizes.items())
    return f"both name the same {len(table)} pictures in the same parts ({counts})"


def labels_are_the_truth(papers: Papers) -> str:
    """The truth in the table is the label in the split."""
    table, task = papers.table, papers.task
    labels = {row.path: row.label for row in papers.split}
    if table.truth is None:
        raise Failed("predictions.csv has no true labels")
    columns = papers.facts.get("data", {}).get("label_columns") or ()
    if not columns and _from_unknown_columns(labels.values(), task):
        raise NotChecked("the labels come from several columns, which run.json does not name")

    wrong = [
        path
        for path, truth in zip(table.paths, table.truth, strict=True)
        if path in labels and not _agree(labels[path], truth, task, columns)
    ]
    if wrong:
        raise Failed(f"the truth in predictions.csv is not the label in split.csv: {_names(wrong)}")
    if absent := [path for path in table.paths if path not in labels]:
        raise Failed(f"of pictures of predictions.csv split.csv has no label: {_names(absent)}")
    return f"the truth of all {len(table)} pictures is their label in split.csv"


def _from_unknown_columns(labels: Iterable[str], task: Task) -> bool:
    """Say whether the cells are marks of 0/1 columns, in a run that wrote down no columns."""
    if task.kind == "multilabel":
        return not task.separator
    marks = re.compile(r"[01](\|[01])+")
    return bool(task.classes) and all(
        label not in task.classes and marks.fullmatch(label) for label in labels
    )


def _agree(
    label: str,
    truth: Any,  # noqa: ANN401 - a row of the truth
    task: Task,
    columns: Sequence[str],
) -> bool:
    if task.kind == "regression":
        return as_number(label) == float(truth)
    if task.kind == "multilabel":
        true = {name for name, own in zip(task.classes, truth, strict=True) if own}
    else:
        true = {task.classes[int(truth)]}
    if columns:
        return set(marked(label, columns)) == true
    if task.kind == "multilabel":
        return set(pieces_of(label, task.separator)) == true
    return {label} == true


def nothing_is_in_two_parts(papers: Papers) -> str:
    """No content and no group lies in more than one part."""
    table = papers.table
    twice = [_names(paths) for paths in _astride(table.hashes, table.parts, table.paths)]
    if twice:
        raise Failed(f"one content lies in two parts: {'; and one: '.join(twice[:5])}")
    split = [row for row in papers.split if row.group]
    columns = zip(*((row.group, row.part, row.path) for row in split), strict=True)
    groups = list(_astride(*columns)) if split else []
    if groups:
        raise Failed(f"one group lies in two parts: {'; and one: '.join(map(_names, groups[:5]))}")
    num = len({row.group for row in split})
    kept = f"; {num} group{'s' * (num != 1)} kept whole" if num else ""
    return f"none of {len(set(table.hashes))} contents lies in two parts{kept}"


def _astride(
    keys: Sequence[str], parts: Sequence[str], paths: Sequence[str]
) -> Iterator[list[str]]:
    """Yield the paths of every key that lies in more than one part."""
    seen: defaultdict[str, set[str]] = defaultdict(set)
    named: defaultdict[str, list[str]] = defaultdict(list)
    for key, part, path in zip(keys, parts, paths, strict=True):
        seen[key].add(part)
        named[key].append(path)
    yield from (named[key] for key, own in seen.items() if len(own) > 1)


def fingerprints_are_those_of_the_files(papers: Papers) -> str:
    """Paths, contents, labels and parts are those that were written down before learning."""
    table, split = papers.table, {row.path: row for row in papers.split}
    data = hashlib.sha256()
    for path, content in zip(table.paths, table.hashes, strict=True):
        label = split[path].label if path in split else ""
        data.update("\0".join((path, content, label)).encode("utf-8", "surrogateescape") + b"\n")
    found = data.hexdigest()
    parts = "\n".join([found, *table.parts])
    known = {name: papers.facts.get(name, {}).get("fingerprint", "") for name in ("data", "split")}
    if not all(known.values()):
        raise NotChecked("run.json has no fingerprints")
    if known["data"] != found:
        raise Failed(
            "pictures, contents or labels are not those that run.json was written with: "
            f"fingerprint {known['data'][:12]}… expected, {found[:12]}… met"
        )
    if known["split"] != hashlib.sha256(parts.encode()).hexdigest():
        raise Failed("the parts are not those that run.json was written with")
    return "contents, labels and parts have the fingerprints that run.json was written with"


def answers_were_sealed(papers: Papers) -> str:
    """The answers of the test part could not be read until the network was final."""
    sealed = papers.facts.get("split", {}).get("sealed")
    if not isinstance(sealed, dict):
        raise NotChecked("this run was made before answers of the test part were sealed")
    num, tested = sealed.get("num"), papers.table.parts.count("test")
    if num != tested:
        raise Failed(f"{num} answers were sealed, and the test part has {tested}")
    return (
        f"the answers of {num} test pictures were sealed until second {sealed['until_seconds']:.0f}"
    )


def pictures_are_the_same(papers: Papers) -> str:
    """The pictures on disk have the contents that the table names."""
    table, recipe = papers.table, papers.recipe
    try:
        source = listing_of(recipe, place=papers.data, labelled=False).source
    except DataError as error:
        raise NotChecked(f"the pictures cannot be found: {error.message} {MOVED}") from None
    papers.progress.start("read the pictures", len(table), "pictures")
    gone, changed = [], []
    for path, expected in zip(table.paths, table.hashes, strict=True):
        try:
            if hashlib.sha256(source.read(path)).hexdigest() != expected:
                changed.append(path)
        except (DataError, Unreadable):
            gone.append(path)
        papers.progress.advance()
    if changed:
        raise Failed(f"{len(changed)} of {len(table)} pictures changed: {_names(changed)}")
    if gone:
        kept = len(table) - len(gone)
        raise NotChecked(
            f"{len(gone)} of {len(table)} pictures cannot be read any more ({_names(gone)}); "
            f"the other {kept} are the same to the byte. {MOVED}"
        )
    return f"all {len(table)} pictures are the same to the byte"


def _names(paths: Iterable[str], *, limit: int = MAX_LISTED) -> str:
    return listed(map(encode_name, paths), limit=limit)
