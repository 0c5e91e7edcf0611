"""Files that are either whole or not there, and names that survive every table."""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from saccade.runtime.errors import ResourceError

_NEEDS_QUOTE = ("=", "+", "-", "@", "\t", "\r", "'")


@contextlib.contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; move it there, synced, when the block ends well.

    A crash or an error leaves the old file as it was and no half-written one. A full disk, a
    file size limit or a failing sync become a ResourceError (E401) that names the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:40]}.", suffix=".part", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        raise disk_error(error, path) from error
    finally:
        temporary.unlink(missing_ok=True)


def remove_halves(folder: Path) -> None:
    """Remove what a kill left in a folder of files, and of folders, that were being written.

    A folder that was moved aside, and whose successor did not come, is put back.
    """
    for old in list(folder.rglob(".*.old")):
        place = old.with_name(old.name[1:].rsplit(".", 2)[0])
        if place.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.rename(place)
    for half in list(folder.rglob(".*.part")):
        if half.is_dir():
            shutil.rmtree(half, ignore_errors=True)
        else:
            half.unlink(missing_ok=True)


def disk_error(error: OSError, path: Path) -> ResourceError:
    """Return the error a user reads when `path` could not be written."""
    why = {
        errno.ENOSPC: "there is no space left on the disk",
        errno.EDQUOT: "the disk quota is used up",
        errno.EFBIG: "the file would be larger than this session allows (ulimit -f)",
        errno.EROFS: "the disk is read-only",
        errno.EACCES: "writing there is not permitted",
        errno.ENOTDIR: "a file lies where its folder should be",
        errno.EIO: "the disk reported an error",
    }.get(error.errno or 0, error.strerror or str(error))
    free, fix = "", "choose another place with --output"
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        fix = f"free some space there, or {fix}"
        with contextlib.suppress(OSError):
            free = f" ({free_bytes(path.parent) / 1e6:.0f} MB free)"
    return ResourceError(
        f"A file could not be written: {why}.", code="401", where=f"{path}{free}", fix=fix
    )


def check_can_be_written(path: Path) -> None:
    """Check that a new file can be made, before hours are spent on what it is to hold.

    Raises:
        ResourceError: its folder is none, or not ours to write in (E401).
    """
    folder = path.parent
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            return
    except OSError as error:
        raise disk_error(error, path) from error


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all."""
    with writing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def write_bytes(path: Path, content: bytes) -> None:
    """Write a binary file, whole or not at all."""
    with writing(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, content: Any) -> None:  # noqa: ANN401 - whatever JSON can hold
    """Write JSON, whole or not at all; numbers that are not finite become null."""
    write_text(path, json_text(content) + "\n")


def json_text(content: Any, *, indent: int | None = 2) -> str:  # noqa: ANN401 - likewise
    """Return strict JSON; numbers that are not finite become null, for JSON has no NaN."""
    return json.dumps(_finite(content), indent=indent, ensure_ascii=False, allow_nan=False)


def _finite(content: Any) -> Any:  # noqa: ANN401 - likewise
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    if isinstance(content, float) and not (abs(content) < float("inf")):
        return None
    return content


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def free_bytes(folder: Path) -> int:
    """Return the bytes free for us on the disk that holds `folder` (or its nearest parent)."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def encode_name(name: str) -> str:
    r"""Return a file name as text that any table, terminal or page can hold, reversibly.

    Bytes that are not UTF-8, control characters and the backslash are written as `\xNN`,
    `\n`, `\\`; a first character that a spreadsheet would take for a formula gets a `'`.

    >>> encode_name("=cmd()"), encode_name("a\nb")
    ("'=cmd()", 'a\\nb')
    >>> all(decode_name(encode_name(n)) == n for n in ["'a", "x\udcff", "-a", "b\\n", "ü"])
    True
    """
    text = "".join(_encode_character(character) for character in name)
    return "'" + text if text.startswith(_NEEDS_QUOTE) else text


def quoted(name: str) -> str:
    r"""Return a name between quotes, for a sentence: as `encode_name`, without a guard of tables.

    >>> print(quoted("=cmd()"), quoted("a\nb"))
    '=cmd()' 'a\nb'
    """
    return f"'{readable_name(name)}'"


def readable_name(name: str) -> str:
    """Return a name for a sentence, with every character to be seen and no guard of tables.

    >>> readable_name("-1"), encode_name("-1")
    ('-1', "'-1")
    """
    return "".join(map(_encode_character, name))


def _encode_character(character: str) -> str:
    code = ord(character)
    if character == "\\":
        return "\\\\"
    if character == "\n":
        return "\\n"
    if 0xDC80 <= code <= 0xDCFF:  # os.fsdecode's surrogates for bytes that are not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x20 or code == 0x7F:
        return f"\\u{code:04x}"
    if 0x202A <= code <= 0x202E or 0x2066 <= code <= 0x2069:  # right-to-left overrides
        return f"\\u{code:04x}"
    return character


def decode_name(text: str) -> str:
    """Return the file name that `encode_name` was given."""
    text = text.removeprefix("'")
    out = []
    position = 0
    while position < len(text):
        if text[position] != "\\":
            out.append(text[position])
            position += 1
            continue
        kind = text[position + 1 : position + 2]
        width = {"x": 2, "u": 4}.get(kind, 0)
        digits = text[position + 2 : position + 2 + width]
        if kind == "x":
            out.append(chr(0xDC00 + int(digits, 16)))
        elif kind == "u":
            out.append(chr(int(digits, 16)))
        else:
            out.append("\n" if kind == "n" else kind)
        position += 2 + width
    return "".join(out)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
