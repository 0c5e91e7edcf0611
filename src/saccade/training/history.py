"""What happened, one line an event, on disk as soon as it happened."""

import json
import os
from pathlib import Path
from typing import Any

from saccade.runtime.store import disk_error, json_text, write_text

Event = dict[str, Any]


class History:
    """The events of a run, in memory and, where a path is given, in a JSON-lines file.

    A line that a crash cut short is dropped when the file is opened again.
    """

    def __init__(self, path: Path | None = None, *, keep: int | None = None) -> None:
        self._path = path
        self.events: list[Event] = []
        if path is not None and path.exists():
            self.events = read_history(path)[:keep]
            self._write_all(path)

    def add(self, event: str, **facts: Any) -> None:  # noqa: ANN401 - events differ in their facts
        """Append one event."""
        entry = {"event": event, **facts}
        self.events.append(entry)
        if self._path is not None:
            try:
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(json_text(entry, indent=None) + "\n")
            except OSError as error:
                raise disk_error(error, self._path) from error

    def sync(self) -> None:
        """Return once the events are on the disk itself: before a checkpoint that counts on them.

        Each line is written as it happens, which a killed process survives and a power cut not.
        """
        if self._path is None or not self._path.exists():
            return
        try:
            with self._path.open("rb") as file:
                os.fsync(file.fileno())
        except OSError as error:
            raise disk_error(error, self._path) from error

    def _write_all(self, path: Path) -> None:
        lines = [json_text(entry, indent=None) + "\n" for entry in self.events]
        write_text(path, "".join(lines))


def read_history(path: Path) -> list[Event]:
    """Return the events of a history file, up to the first line that is not whole."""
    return read_events(path)[0]


def read_events(path: Path) -> tuple[list[Event], list[int]]:
    """Return the events of a history file, and the numbers of the lines from the first broken on.

    Only a newline ends a line: the other characters that can end one stand in names as they are.
    A blank line counts, and holds no event.
    """
    text = path.read_text(encoding="utf-8", errors="replace")
    lines = {number: line for number, line in enumerate(text.split("\n"), 1) if line.strip()}
    events: list[Event] = []
    for number, line in lines.items():
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if not isinstance(event, dict):
            return events, [own for own in lines if own >= number]
        events.append(event)
    return events, []
