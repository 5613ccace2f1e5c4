"""Define what the readers of formats hand over: an image whose header is read, or the fault for which there is none."""

from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from tagger.arrays import Pixels
from tagger.records import FailedReason, Photo


@dataclass(frozen=True)
class OpenedImage:
    """An image whose header has been read, and whose pixels have not been decoded yet."""

    size: tuple[int, int]
    """Width and height in pixels."""
    memory: int
    """Bytes that decoding takes at least, without those of the file."""
    load: Callable[[], Image.Image | Photo]
    """Return the photo, or an image whose pixels are decoded, or are when the image is loaded. Raises anything on damage."""


def image_of(samples: Pixels) -> Image.Image:
    """Return the image of samples, uint8 (h, w), (h, w, 3) or (h, w, 4): grey, RGB, with transparency unless all is opaque."""
    if samples.ndim == 3 and samples.shape[2] == 4 and samples[..., 3].min() == 255:
        height, width = samples.shape[:2]
        return Image.frombuffer("RGBX", (width, height), samples, "raw", "RGBX", 0, 1)
    return Image.fromarray(samples)


def one_line(error: Exception) -> str:
    """Return what a decoder says about damage in one line, or where it says nothing the type of its error."""
    return " ".join(str(error).split()) or f"cannot be decoded ({type(error).__name__})"


class ImageFault(Exception):  # noqa: N818 - a value on its way to `Failed`, not an error of the program
    """A reason why a file's image cannot be had, in the words for the user."""

    def __init__(self, reason: FailedReason, detail: str) -> None:
        super().__init__(detail)
        self.reason: FailedReason = reason
