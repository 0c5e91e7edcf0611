"""One look into a picture file, and the same for a whole catalogue that was scanned before."""

import numpy as np

from saccade.data import decode
from saccade.data.ahead import in_order
from saccade.data.catalog import Catalog, Facts
from saccade.data.pixel_store import PixelStore
from saccade.runtime.progress import Progress


def unpack(content: bytes, pixels: PixelStore | None) -> tuple[Facts, np.ndarray | None]:
    """Return what decoding finds in a picture file, and what `pixels` keeps of it (None: nothing).

    A picture that cannot be used is no error here: its facts have a reason.
    """
    try:
        decoded = decode.decode(content)
    except decode.Unreadable as error:
        return Facts(reason=error.reason, sentence=error.sentence), None
    height, width = decoded.pixels_HWC.shape[:2]
    facts = Facts(width_px=width, height_px=height, format=decoded.format, notes=decoded.notes)
    try:
        return facts, pixels.canvas(decoded.pixels_HWC) if pixels else None
    except MemoryError:
        return Facts(reason="memory", sentence="there is not enough memory to resize it"), None


def fill(
    pixels: PixelStore,
    catalog: Catalog,
    *,
    progress: Progress | None = None,
    threads: int = 0,
) -> None:
    """Give a store the pictures of a catalogue that was scanned before; known ones are not read.

    Raises:
        DataError: a picture is gone (E316), or is not the one that was scanned (E345).
        ResourceError: there is no room for the pictures (E401, E402).
    """
    progress = progress or Progress()
    progress.start("decode", len(catalog), "pictures")

    def is_known(row: int) -> bool:
        return pixels.facts(bytes.fromhex(catalog.hashes[row])) is not None

    def look(row: int) -> tuple[Facts, np.ndarray] | None:
        if is_known(row):
            return None
        facts, canvas = unpack(catalog.read_again(row), pixels)
        if canvas is None:
            raise decode.Unreadable(facts.reason, facts.sentence)
        return facts, canvas

    rows = range(len(catalog))
    pixels.begin(
        catalog.place, len(rows), count_missing=lambda: sum(not is_known(row) for row in rows)
    )
    with decode.pillow_warnings():
        for row, new in enumerate(in_order(look, rows, threads=threads)):
            if new is not None:
                pixels.keep(bytes.fromhex(catalog.hashes[row]), *new)
            progress.advance()
