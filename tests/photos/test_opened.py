"""An opened image is not decoded before it is loaded; a fault carries its reason."""

from image_files import encoded, quarters
from PIL import Image

from tagger.photos.opened import ImageFault, OpenedImage
from tagger.photos.png import open_png


def test_nothing_is_decoded_on_opening() -> None:
    """The size is there although the pixels are not."""
    content = encoded(quarters(), "PNG")
    assert open_png(content[:60]).size == (96, 64)
    calls: list[int] = []
    OpenedImage((1, 1), 4, lambda: calls.append(1) or Image.new("L", (1, 1)))
    assert not calls


def test_a_fault_has_a_reason_and_a_sentence() -> None:
    """Both go into the row."""
    fault = ImageFault("too_large", "more than 1 pixel")
    assert (fault.reason, str(fault)) == ("too_large", "more than 1 pixel")
