"""Run the two networks that find people: faces (BlazeFace, full range) and the landmarks of a body (BlazePose GHUM Lite).

Both are MediaPipe's, Apache-2.0, converted by `training.tflite` without a change of any number. They run in ONNX Runtime, in
float32 on the CPU, one image at a time on one thread: a photo gives the same numbers whatever else is processed.
"""

import hashlib
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from tagger.arrays import Floats, Pixels, row_medians
from tagger.errors import BundleError
from tagger.onnx_session import open_session

FACE_SIDE, POSE_SIDE = 192, 256
"""Sides in pixels of the images that the two networks take."""

GLANCE_SIDE = 96
"""Side in pixels of the image in which the face network looks first whether there may be a face, at a quarter of the cost."""

FACE_CELLS = 48
"""The face network predicts one face for each of 48x48 cells of its image."""

SHA256 = {
    "face": "025c8ace74f4f03282ab7adfcaa533f243f1532a1f871b0c8c32dde7a5b827cc",
    "pose": "713b92de9909cd1980165d7be1edecd002ed241bdc1ed3e603ce35efb18c7105",
}
"""Hashes of the networks' files, which ONNX Runtime opens only if they are unchanged."""

LANDMARKS = 33
"""Landmarks of a body; the network's further six are auxiliary ones."""

NOSE, LEFT_SHOULDER, RIGHT_SHOULDER, LEFT_ELBOW, RIGHT_ELBOW, LEFT_WRIST, RIGHT_WRIST = 0, 11, 12, 13, 14, 15, 16
LEFT_HIP, RIGHT_HIP, LEFT_KNEE, RIGHT_KNEE, LEFT_ANKLE, RIGHT_ANKLE = 23, 24, 25, 26, 27, 28
LEFT_FINGER, RIGHT_FINGER, LEFT_TOE, RIGHT_TOE = 19, 20, 31, 32
"""Numbers of landmarks, as BlazePose (arXiv 2006.10204, figure 3) orders them; left and right are the person's own."""


class Square(NamedTuple):
    """A square part of a photo in its pixels; it may reach beyond the photo."""

    left: int
    top: int
    side: int


@dataclass(frozen=True)
class Face:
    """A face; all places and lengths in pixels of the photo."""

    x: float
    y: float
    """Centre of the box from the brows to the chin."""
    width: float
    height: float
    score: float
    """Probability that it is a face, 0..1, not calibrated."""
    eyes: tuple[float, float]
    nose: tuple[float, float]
    mouth: tuple[float, float]


@dataclass(frozen=True)
class Body:
    """Landmarks of a body."""

    points: Floats
    """float32 (33, 2): column and row in pixels of the photo; also of landmarks that lie outside or are hidden."""
    visibility: Floats
    """float32 (33,): probability that each landmark is in the picture and not hidden, 0..1."""
    presence: float
    """Probability that the picture shows a body, 0..1, not calibrated: high for many clothes that nobody wears."""


def glance_at_face(pixels: Pixels, square: Square) -> float:
    """Return the score of the most probable face in a square of a photo, 0..1, seen at the side `GLANCE_SIDE`.

    Faces that `find_face` finds get a lower score, but rarely a low one; other things often get a higher one than there.
    """
    image = crop_square(pixels, square, GLANCE_SIDE).astype(np.float32) / 127.5 - 1
    (scores,) = _session("face", GLANCE_SIDE).run(["scores"], {"image": image[None]})
    return float(_sigmoid(scores.max()))


def find_face(pixels: Pixels, square: Square) -> Face:
    """Find the most probable face in a square of a photo, uint8 (h, w, 3) RGB; nearly always there is one of a low score."""
    image = crop_square(pixels, square, FACE_SIDE).astype(np.float32) / 127.5 - 1
    boxes, scores = _session("face", FACE_SIDE).run(["boxes", "scores"], {"image": image[None]})
    best = int(np.argmax(scores.reshape(-1)))
    row, column = divmod(best, FACE_CELLS)
    cell = (np.array([column, row], np.float32) + 0.5) / FACE_CELLS
    # (centre, size, six keypoints), in pixels of the network's image; all but the size relative to the cell.
    x_y, size, *keypoints = boxes.reshape(-1, 8, 2)[best] / FACE_SIDE
    scale, corner = square.side, np.array([square.left, square.top], np.float32)
    x, y = ((x_y + cell) * scale + corner).tolist()
    right_eye, left_eye, nose, mouth = ((point + cell) * scale + corner for point in keypoints[:4])
    width, height = (size * scale).tolist()
    score = float(_sigmoid(scores.reshape(-1)[best]))
    return Face(x, y, width, height, score, _pair((right_eye + left_eye) / 2), _pair(nose), _pair(mouth))


def find_body(pixels: Pixels, square: Square) -> Body:
    """Find the landmarks of the body in the middle of a square of a photo, uint8 (h, w, 3) RGB."""
    image = crop_square(pixels, square, POSE_SIDE).astype(np.float32) / 255
    landmarks, presence = _session("pose", 0).run(["landmarks", "presence"], {"image": image[None]})
    values = landmarks.reshape(-1, 5)[:LANDMARKS]  # column, row, depth, and logits of visible and of present
    points = values[:, :2] * (square.side / POSE_SIDE) + np.array([square.left, square.top], np.float32)
    return Body(points.astype(np.float32), _sigmoid(values[:, 3]), float(presence.reshape(-1)[0]))


def crop_square(pixels: Pixels, square: Square, side: int) -> Pixels:
    """Crop a square of a photo and resize it to uint8 (side, side, 3); beyond the photo it has the border's median colour."""
    height, width = pixels.shape[:2]
    left, top = max(0, square.left), max(0, square.top)
    right, bottom = min(width, square.left + square.side), min(height, square.top + square.side)
    if right <= left or bottom <= top:
        return np.full((side, side, 3), border_colour(pixels), np.uint8)
    inside = pixels[top:bottom, left:right]
    if inside.shape[:2] != (square.side, square.side):
        around = (top - square.top, square.top + square.side - bottom, left - square.left, square.left + square.side - right)
        colour = [int(level) for level in border_colour(pixels)]
        inside = np.asarray(cv2.copyMakeBorder(inside, *around, cv2.BORDER_CONSTANT, value=colour), np.uint8)
    method = cv2.INTER_AREA if square.side > side else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(np.ascontiguousarray(inside), (side, side), interpolation=method), np.uint8)


def border_colour(pixels: Pixels, share: float = 0.03) -> Pixels:
    """Return the median colour of a photo's border, uint8 (3,); its width is a share of the shorter side.

    About 1,000 pixels are taken, evenly spread: a median of all of them would take longer than the networks.
    """
    return np.asarray(row_medians(pixels.reshape(-1).take(_border_places(*pixels.shape[:2], share))), np.uint8)


@lru_cache(maxsize=32)  # the photos of a shop have few sizes
def _border_places(height: int, width: int, share: float) -> NDArray[np.intp]:
    """Return where the pixels of a border that `border_colour` takes lie among all numbers of a photo, (3, n)."""
    rim = max(1, round(share * min(height, width)))
    above, left = np.arange(rim * width), (np.arange(height)[:, None] * width + np.arange(rim)).ravel()
    border = np.concatenate([above, above + (height - rim) * width, left, left + width - rim])
    return 3 * border[:: max(1, len(border) // 1000)] + np.arange(3)[:, None]


def _sigmoid(logits: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -80, 80))), np.float32)


def _pair(point: Floats) -> tuple[float, float]:
    return float(point[0]), float(point[1])


def open_networks() -> None:
    """Open both networks now, and not at the first photo."""
    for name, side in (("face", GLANCE_SIDE), ("face", FACE_SIDE), ("pose", 0)):
        _session(name, side)


_lock = Lock()


def _session(name: str, side: int) -> Any:
    """Return the session of a network; photos are loaded in threads, of which one opens it and all use it."""
    with _lock:
        return _open(name, side)


@cache
def _open(name: str, side: int) -> Any:
    """Open a network's file for images of a side, where it takes several.

    Raises:
        BundleError: if it is another one than was converted.
    """
    content = Path(__file__).with_name(f"{name}.onnx").read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256[name]:
        raise BundleError(f"{name}.onnx, which finds people, is not the file that belongs to this fmtag; install fmtag again.")
    return open_session(content, {"height": side, "width": side} if side else {})
