"""How the program ends: errors in three lines, an exit code, and no waiting for torch."""

import atexit
import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import typer

from saccade.runtime.errors import InterruptedRun, ResourceError, SaccadeError, UsageError
from saccade.runtime.store import disk_error, json_text, quoted


def leave(code: str | int | None) -> None:
    """End the program at once, if it is ours and torch is loaded; else return.

    Tearing torch down takes one to two seconds in which nothing happens that anybody needs: files
    are whole when a verb returns. What others registered for the end is run, and what was printed
    is passed on, as ever.
    """
    started = Path(getattr(sys.modules["__main__"], "__file__", None) or "")
    ours = "saccade" in {started.stem, started.parent.stem}  # bin/saccade, saccade/__main__.py
    watched = sys.gettrace() or sys.getprofile() or "coverage" in sys.modules
    if not ours or watched or "torch" not in sys.modules or isinstance(code, str):
        return
    atexit._run_exitfuncs()  # noqa: SLF001 - there is no public name, and Python calls it so
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:  # a closed pipe or a full disk: Python's own ending knows what to say
        return
    os._exit(code or 0)


def spell_any_name() -> None:
    """Let no name of a class or a file stop the output, whatever letters the system is set to.

    Into a file or another program everything is written in UTF-8, so that JSON stays JSON. A
    terminal is left as it is, and letters that it lacks are written as numbers.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            encoding = None if stream.isatty() else "utf-8"
            stream.reconfigure(encoding=encoding, errors="backslashreplace")


def run_told(app: typer.Typer) -> int:
    """Run a command line; return its exit code.

    What typer cannot make sense of (an unknown flag, a word where a number belongs) is told like
    any other error, with --json as JSON. Its exceptions have no public names.
    """
    try:
        return app(standalone_mode=False) or 0
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        if type(error).__name__.startswith("NoArgsIsHelp"):
            error.show()  # type: ignore[attr-defined]
            return 2
        context = getattr(error, "ctx", None)
        said = _misread(error) or error.format_message().rstrip(".")
        wrong = UsageError(
            said if said.endswith("?") else f"{said}.",
            code="200",
            where="the command line",
            fix=_fix(said, context.command_path if context else "saccade"),
        )
    try:
        _refuse(wrong, as_json="--json" in sys.argv)
    except typer.Exit as end:
        return end.exit_code


def _fix(said: str, command_path: str) -> str:
    """Return what to do about words that the command does not know."""
    if command_path.endswith(" predict") and said.startswith("No such option: --json"):
        return "ask for JSON, one object a line, with --format jsonl"
    return f"see {command_path} --help"


def _misread(error: Exception) -> str:
    """Return which word stands where a number belongs; "" for other errors.

    The word is known to pydantic alone, by which typer reads numbers.
    """
    found: list[dict[str, Any]] = getattr(error.__cause__, "errors", list)()
    wanted = {"int": "a whole number", "float": "a number"}
    option = getattr(getattr(error, "param", None), "opts", ["it"])[0]
    for own in found:
        kind, _, what = str(own.get("type", "")).partition("_")
        if kind in wanted and what != "parsing_size":  # of more digits than are read
            return f"{option} is {quoted(str(own.get('input')))}, which is not {wanted[kind]}"
    return ""


@contextlib.contextmanager
def told_plainly(*, debug: bool, as_json: bool = False) -> Iterator[None]:
    """Turn errors into three lines and an exit code; a traceback only with --debug."""
    try:
        yield
    except KeyboardInterrupt:
        stopped = InterruptedRun(
            "Stopped before anything was finished; the pictures are untouched.",
            code="602",
            fix="run the same command again",
        )
        _refuse(stopped, as_json=as_json)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None
    except (typer.Exit, typer.Abort):
        raise
    except SaccadeError as own:
        if debug:
            raise
        _refuse(own, as_json=as_json)
    except Exception as fault:
        if debug:
            raise
        if isinstance(fault, OSError) and fault.errno in {errno.ENOSPC, errno.EDQUOT}:
            _refuse(disk_error(fault, Path("standard output")), as_json=False)
        if _is_out_of_memory(fault):
            full = ResourceError(
                "The memory of this machine is used up.",
                code="403",
                fix="choose a smaller --batch-size or --img-size, or close other programs",
            )
            _refuse(full, as_json=as_json)
        name = type(fault).__name__
        internal = SaccadeError(
            f"This is a fault in saccade, not in your data: {name}: {fault}",
            code="999",
            fix="run the same command with --debug and report what it prints",
        )
        _refuse(internal, as_json=as_json)


def _is_out_of_memory(fault: Exception) -> bool:
    """Say whether memory ran out, Python's or torch's, which may not have been loaded."""
    if "torch" not in sys.modules:
        return isinstance(fault, MemoryError)
    from saccade.runtime.device import is_out_of_memory  # noqa: PLC0415 - brings torch

    return is_out_of_memory(fault)


def _refuse(error: SaccadeError, *, as_json: bool) -> NoReturn:
    if as_json:
        facts = {
            "code": error.code,
            "message": error.message,
            "where": error.where,
            "fix": error.fix,
        }
        typer.echo(json_text({"error": facts}))
    typer.echo(f"error {error.code}: {error}", err=True)
    raise typer.Exit(error.exit_code)
