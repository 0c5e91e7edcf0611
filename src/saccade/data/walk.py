"""Everything that lies below a folder, and what is passed over: hidden files, links, pipes."""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from saccade.data.catalog import Skipped

SYSTEM_NAMES = {"thumbs.db", "desktop.ini", "__macosx", "@eadir", "$recycle.bin"}


@dataclass(slots=True, kw_only=True)
class Walk:
    """Everything below a folder: plain files, folders, and what was passed over."""

    files: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    outside: dict[str, bool] = field(default_factory=dict)
    """Links out of the folder that were passed over: whether each leads to a folder."""


def walk(root: Path, *, follow_links: bool = False) -> Walk:
    """Return what lies below `root`, every list sorted; nothing is opened but folders.

    Hidden files and folders and those of operating systems are passed over; a folder that is
    passed over counts as one entry. Links to a file inside `root` count as files; links out of
    it only with `follow_links`. A folder is entered through one link at most, of those beside each
    other the first by name, so that links in a circle end.
    """
    found = Walk()
    home = root.resolve()
    through_links: set[Path] = set()
    waiting: list[tuple[str, Path]] = [("", home)]
    while waiting:
        prefix, real = waiting.pop()
        try:
            with os.scandir(real) as entries:
                for entry in sorted(entries, key=lambda own: own.name):
                    name = f"{prefix}{entry.name}"
                    if entry.name.startswith(".") or entry.name.lower() in SYSTEM_NAMES:
                        _pass_over_hidden(entry, name, found)
                    elif entry.is_symlink():
                        target = _link_target(Path(entry.path), name, found)
                        if target and _may_follow(
                            target, name, home, real, through_links, follow_links, found
                        ):
                            waiting.append((f"{name}/", target))
                    elif entry.is_dir(follow_symlinks=False):
                        found.folders.append(name)
                        waiting.append((f"{name}/", real / entry.name))
                    elif entry.is_file(follow_symlinks=False):
                        found.files.append(name)
                    else:
                        _skip(found, name, "special-file", "a pipe, socket or device")
        except OSError as error:
            sentence = f"the folder cannot be opened: {error.strerror or error}"
            _skip(found, prefix.rstrip("/") or ".", "unreadable", sentence)
    found.files.sort()
    found.folders.sort()
    found.skipped.sort(key=lambda skipped: skipped.path)
    return found


def _skip(found: Walk, path: str, reason: str, sentence: str) -> None:
    found.skipped.append(Skipped(path=path, reason=reason, sentence=sentence))


def _pass_over_hidden(entry: "os.DirEntry[str]", name: str, found: Walk) -> None:
    folder = entry.is_dir(follow_symlinks=False)
    what = "folder, which was not entered" if folder else "file"
    whose = "a hidden" if entry.name.startswith(".") else "an operating system's"
    _skip(found, name, "hidden", f"{whose} {what}")


def _link_target(link: Path, name: str, found: Walk) -> Path | None:
    try:
        return link.resolve(strict=True)
    except (OSError, RuntimeError):
        _skip(found, name, "broken-link", "a link that leads nowhere or in a circle")
        return None


def _may_follow(
    target: Path,
    name: str,
    home: Path,
    real: Path,
    through_links: set[Path],
    follow_links: bool,
    found: Walk,
) -> bool:
    """Say whether `target` is a folder to enter; files are added, the rest passed over."""
    if not follow_links and not target.is_relative_to(home):
        _skip(found, name, "link", "a link out of the folder (--follow-links reads it)")
        found.outside[name] = target.is_dir()
        return False
    mode = target.stat().st_mode
    if stat.S_ISREG(mode):
        found.files.append(name)
        return False
    if not stat.S_ISDIR(mode):
        _skip(found, name, "special-file", "a link to a pipe, socket or device")
        return False
    if real.is_relative_to(target):
        _skip(found, name, "link", "a link to a folder above it")
        return False
    if target in through_links:
        _skip(found, name, "link", "a link to a folder that another link led to")
        return False
    through_links.add(target)
    found.folders.append(name)
    return True
