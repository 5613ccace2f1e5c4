"""Convert the pixels of a photo with a colour profile to sRGB, for people to look at.

The networks learnt from the numbers as they are in the files, as nearly all photos are sRGB. Those of many phones are in
Display P3, which screens would show too pale.
"""

import io
import warnings

import numpy as np
from PIL import Image, ImageCms

from tagger.arrays import Pixels
from tagger.photos.decode import open_by_pillow

MAX_BYTES = 1_000_000
"""Bytes of a profile; those of cameras and programs have some thousands."""


def to_srgb(pixels: Pixels, content: bytes) -> Pixels:
    """Return pixels, uint8 (h, w, 3), in sRGB by the profile in the bytes of their file; unchanged where it has no use."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow about damage, which decoding has told
            with open_by_pillow(content) as image:
                profile = image.info.get("icc_profile")
            if not isinstance(profile, bytes) or not 128 < len(profile) <= MAX_BYTES or profile[16:20] != b"RGB ":
                return pixels
            if b"sRGB" in profile or "sRGB".encode("utf-16-be") in profile:
                return pixels
            source, target = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(
                Image.fromarray(pixels), source, target, ImageCms.Intent.RELATIVE_COLORIMETRIC, outputMode="RGB"
            )
    except Exception:  # a damaged profile: its colours count as sRGB, as for the networks
        return pixels
    return pixels if converted is None else np.asarray(converted)
