"""The most confident errors on labelled photos as one image: photo, product image, true and predicted label."""

import cv2
import numpy as np

from tagger.arrays import Pixels
from tagger.escaping import for_terminal
from tagger.evaluation.evaluate import Evaluation, Example
from tagger.photos.loader import decode_holder
from tagger.photos.product import extract_product
from tagger.records import Failed, Holder

COLUMNS = 10

MOST_ERRORS = 120
"""Errors on a sheet at most."""

_SIDE = 84
_TILE = (120, 180, 3)


def contact_sheet(evaluation: Evaluation) -> bytes:
    """Return a PNG of the wrong tags of photos with known labels, the most confident first; it shows the photos themselves.

    Raises `DatasetError` where the evaluation holds no photo.
    """
    known = [row for rows in evaluation.photos().values() for row in rows if row.known]
    wrong = sorted((row for row in known if not row.right), key=lambda row: -row.confidence)[:MOST_ERRORS]
    tiles = [_tile(row, row.file) for row in wrong if row.file is not None]
    lines = max(1, -(-len(tiles) // COLUMNS))
    tiles += [np.zeros(_TILE, np.uint8)] * (lines * COLUMNS - len(tiles))
    sheet = np.vstack([np.hstack(tiles[line * COLUMNS : (line + 1) * COLUMNS]) for line in range(lines)])
    return cv2.imencode(".png", sheet[:, :, ::-1])[1].tobytes()


def _tile(row: Example, file: Holder) -> Pixels:
    """Return uint8 (120, 180, 3) RGB."""
    tile = np.full(_TILE, 96, np.uint8)
    photo = decode_holder(file)
    if not isinstance(photo, Failed):  # it was readable before, but a file may have been removed since
        scale = _SIDE / max(photo.pixels.shape[:2])
        width, height = (max(1, round(scale * side)) for side in photo.pixels.shape[1::-1])
        tile[:height, :width] = cv2.resize(photo.pixels, (width, height), interpolation=cv2.INTER_AREA)
        cut = cv2.resize(extract_product(photo).pixels, (_SIDE, _SIDE), interpolation=cv2.INTER_NEAREST)
        tile[:_SIDE, _SIDE + 6 : 2 * _SIDE + 6] = cut[:, :, None]
    for line, text in enumerate((f"true: {row.label}", f"{row.predicted or 'no product'} {row.confidence:.2f}")):
        cv2.putText(
            tile, for_terminal(text), (3, 99 + 15 * line), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (255, 255, 255), 1, cv2.LINE_AA
        )
    return tile
