"""Decode PIL images and numpy arrays as files of the same content are decoded."""

from contextlib import suppress

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from tagger.errors import reason_of
from tagger.photos import decode
from tagger.photos.limits import check_size, pillow_memory
from tagger.photos.opened import ImageFault, OpenedImage
from tagger.photos.product import extract_product
from tagger.photos.settings import DEFAULT_DECODING, DecodeSettings
from tagger.records import Failed, Photo, ProductImage

ACCEPTED_ARRAYS = "uint8 arrays of shape (height, width, 3), RGB, or (height, width), grey"


def array_to_image(array: NDArray[np.uint8]) -> Image.Image:
    """Return an array as a PIL image.

    Args:
        array: uint8 (height, width, 3) RGB or (height, width) grey, neither side 0.

    Raises:
        ValueError: another dtype or shape; the message names those that are accepted.
    """
    has_shape = array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)
    if array.dtype != np.uint8 or not has_shape or not array.size:
        raise ValueError(
            f"an array of dtype {array.dtype} and shape {array.shape} is not a photo; give {ACCEPTED_ARRAYS}, values 0..255"
        )
    return Image.fromarray(array)


def load_image(image: Image.Image, settings: DecodeSettings = DEFAULT_DECODING) -> ProductImage | Failed:
    """Return the product image of a PIL image, or why it has none, as `load_photos` does for its file; raises nothing."""
    photo = decode_image(image, settings)
    if isinstance(photo, Failed):
        return photo
    try:
        return extract_product(photo)
    except Exception as error:
        return Failed("unreadable", f"the image: no product could be extracted ({reason_of(error)})")


def decode_image(image: Image.Image, settings: DecodeSettings = DEFAULT_DECODING) -> Photo | Failed:
    """Return the photo of a PIL image with its longer side less than twice `decode.SIDE`, or why it cannot be had.

    EXIF orientation, transparency and 16 bits are handled as for files. An image that is opened but not loaded gives the very
    pixels of its file. One that is loaded may differ by rounding for JPEGs, which files are read from at reduced size.
    The image is left as it is.
    """
    content = _unread_file(image)
    if content is not None:
        return decode.decode_bytes(content, "the image", settings)
    try:
        check_size(OpenedImage(image.size, pillow_memory(image), lambda: image), settings.max_pixels)
        return decode.upright_photo(image)
    except ImageFault as fault:
        return Failed(fault.reason, f"the image: {fault}")
    except Exception as error:  # a closed file, a damaged one, or an image without pixels
        return Failed("unreadable", f"the image: {decode.decoding_fault(error)}")


def _unread_file(image: Image.Image) -> bytes | None:
    """Return the bytes of the file of an image that has not been loaded yet; None where the pixels are in memory."""
    if not isinstance(image, ImageFile.ImageFile) or not image.tile or image.format not in decode.FORMATS:
        return None
    with suppress(Exception):  # the file is closed: what Pillow raises on loading names the reason
        if image.tell() == 0 and image.fp is not None:
            position = image.fp.tell()
            image.fp.seek(0)
            content = image.fp.read()
            image.fp.seek(position)
            return content
    return None
