"""Make colour pictures that a head on a backbone learns from: painted negatives, and pictures of products staged anew.

What is drawn and what Fashion-MNIST shows is grey and small; painted in random colours and enlarged it is all there is of shoes
and bags. Pictures of real clothes are given another ground, light and colour, as no shop has a bedroom's.
"""

import cv2
import numpy as np

from tagger.arrays import Floats, Pixels
from tagger.photos.colour import COLOUR_SIDE, FILL
from tagger.synthesis.drawing import Rng

WHITE_GROUND = 0.6
"""Share of the pictures on pure white; the others are on a light grey."""


def paint(negative: Pixels, rng: Rng) -> Pixels | None:
    """Paint a negative on 0, uint8 (h, w), in random colours on a light ground.

    Returns uint8 (224, 224, 3) RGB, or None for an empty negative.
    """
    x, y, width, height = cv2.boundingRect(negative)
    if width == 0:
        return None
    product = negative[y : y + height, x : x + width]
    scale = FILL * COLOUR_SIDE / max(width, height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    grey: Floats = (255 - np.asarray(cv2.resize(product, size, interpolation=cv2.INTER_CUBIC), np.float64)) / 255
    inside = cv2.resize((product > 0).astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    cover = np.clip((inside - 0.3) / 0.4, 0, 1)  # a sharper edge than the enlarged one
    if rng.random() < 0.5:
        grey = _with_other_tones(grey, cover, rng)
    dark, light = _two_tones(rng)
    colours = dark + (light - dark) * grey[..., None]
    if rng.random() < 0.5:
        colours = colours + rng.normal(0, rng.uniform(2, 8), grey.shape)[..., None]
    ground = _ground(rng, 200)
    picture = np.empty((COLOUR_SIDE, COLOUR_SIDE, 3))
    picture[:] = ground
    top, left = (COLOUR_SIDE - size[1]) // 2, (COLOUR_SIDE - size[0]) // 2
    blended = cover[..., None] * colours + (1 - cover[..., None]) * ground
    picture[top : top + size[1], left : left + size[0]] = blended
    return np.clip(picture, 0, 255).astype(np.uint8)


def restage(picture: Pixels, rng: Rng) -> Pixels:
    """Stage a product anew: another ground, light, hue, size and angle; uint8 (224, 224, 3), as `photos.colour` crops it."""
    mask = np.where((picture != picture[0, 0]).any(2), 255, 0).astype(np.uint8)
    if np.count_nonzero(mask) < 50:
        return picture
    hsv = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2HSV), np.float64)
    if rng.random() < 1 / 3:
        hsv[..., 0] = (hsv[..., 0] + rng.uniform(0, 180)) % 180
    hsv[..., 1] = np.clip(hsv[..., 1] * rng.uniform(0.5, 1.5), 0, 255)
    colours = np.asarray(cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB), np.float64)
    low, high = np.percentile(colours[mask > 0], [1, 99])
    darkest, brightest = rng.uniform(0, 60), rng.uniform(180, 255)
    colours = np.clip((colours - low) / (high - low + 1) * (brightest - darkest) + darkest, 0, 255)
    ground = _ground(rng, 170)
    cover = cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), 1)[..., None]
    staged = colours * cover + ground * (1 - cover)
    middle = COLOUR_SIDE / 2
    matrix = cv2.getRotationMatrix2D((middle, middle), rng.normal(0, 5), 1)
    scales = np.array([rng.uniform(0.88, 1.05), rng.uniform(0.88, 1.05)])
    matrix = matrix * scales[:, None]
    matrix[:, 2] += middle * (1 - scales)
    turned = cv2.warpAffine(staged, matrix, (COLOUR_SIDE, COLOUR_SIDE), flags=cv2.INTER_LINEAR, borderValue=ground.tolist())
    mirrored = turned[:, ::-1] if rng.random() < 0.5 else turned
    return np.asarray(np.clip(mirrored, 0, 255), np.uint8)


def _with_other_tones(grey: Floats, cover: Floats, rng: Rng) -> Floats:
    """Stretch the tones of a product, 0..1, to another range."""
    product = grey[cover > 0.5]
    darkest, brightest = np.percentile(product, [2, 98]) if product.size else (0.0, 1.0)
    low = rng.uniform(0, 0.5)
    high = rng.uniform(low + 0.25, 1)
    stretched: Floats = np.clip((grey - darkest) / max(brightest - darkest, 0.05), 0, 1) * (high - low) + low
    return stretched


def _two_tones(rng: Rng) -> tuple[Floats, Floats]:
    """Return a dark and a light colour of about one hue, 0..255 RGB; pale ones are more frequent than vivid ones."""
    hue, saturation = rng.uniform(10, 170), rng.beta(1.2, 2.2) * 255
    dark = (hue, saturation, rng.uniform(10, 60))
    light = (np.clip(hue + rng.normal(0, 4), 0, 179), saturation * rng.uniform(0.1, 1), rng.uniform(200, 255))
    return _rgb(dark), _rgb(light)


def _rgb(hsv: tuple[float, float, float]) -> Floats:
    rgb: Floats = np.asarray(cv2.cvtColor(np.array([[hsv]]).astype(np.uint8), cv2.COLOR_HSV2RGB), np.float64)[0, 0]
    return rgb


def _ground(rng: Rng, darkest: float) -> Floats:
    """Return the colour of a ground, 0..255: white, or a grey no darker than `darkest`."""
    if rng.random() < WHITE_GROUND:
        return np.full(3, 255.0)
    return np.clip(rng.uniform(darkest, 250) + rng.normal(0, 3, 3), 0, 255)
