"""The networks that find people give the same numbers in any thread, and only unchanged files of theirs are opened."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from people import Person, draw_person

from tagger.errors import BundleError
from tagger.photos import detector
from tagger.photos.detector import Square, border_colour, crop_square, find_body, find_face

HEAD, FIGURE = Square(20, 0, 80), Square(-20, -5, 200)


def test_a_face_and_a_body_are_found_where_they_were_drawn() -> None:
    """Eyes, nose and mouth of a drawn face, its shoulders and hips are found within a few pixels."""
    pixels = draw_person().pixels
    face, body = find_face(pixels, HEAD), find_body(pixels, FIGURE)
    assert face.score > 0.8
    assert np.allclose((face.eyes[1], face.nose[1], face.mouth[1]), (23.5, 29, 34), atol=3)
    assert np.allclose((face.eyes[0], face.nose[0], face.mouth[0]), 60, atol=3)
    assert body.presence > 0.9
    assert body.points.shape == (33, 2)
    assert body.points.dtype == np.float32
    left, right = body.points[detector.LEFT_SHOULDER], body.points[detector.RIGHT_SHOULDER]
    assert left[0] - right[0] > 25
    assert np.allclose((left[1], right[1]), 50, atol=8)
    assert 85 < body.points[detector.LEFT_HIP][1] < 120


def test_the_square_does_not_move_what_is_found() -> None:
    """A face has the same place in the photo whichever square it is sought in, within a few pixels."""
    pixels = draw_person().pixels
    one, other = find_face(pixels, HEAD), find_face(pixels, Square(-10, -20, 120))
    assert np.allclose((one.x, one.y, one.width), (other.x, other.y, other.width), atol=3)


def test_no_face_gives_a_low_score() -> None:
    """An even photo gives a face of a low score."""
    assert find_face(np.full((100, 100, 3), 200, np.uint8), Square(0, 0, 100)).score < 0.4


def test_the_same_bits_in_any_thread() -> None:
    """Eight threads that share the networks get the same bits as one."""
    photos = [draw_person(Person(top=(shade, 80, 160))).pixels for shade in range(0, 240, 10)]

    def both(pixels: np.ndarray) -> bytes:
        face, body = find_face(pixels, HEAD), find_body(pixels, FIGURE)
        return np.float64([face.x, face.y, face.score, body.presence]).tobytes() + body.points.tobytes()

    alone = [both(pixels) for pixels in photos]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(both, photos)) == alone


@pytest.mark.parametrize("name", detector.SHA256)
def test_the_files_are_plain_and_name_their_origin(name: str) -> None:
    """Both files hold all their numbers and standard operators alone, and say where they come from."""
    model = onnx.load(Path(detector.__file__).with_name(f"{name}.onnx"), load_external_data=False)
    assert [(one.domain, one.version) for one in model.opset_import] == [("", 17)]
    assert not model.functions
    assert {node.domain for node in model.graph.node} == {""}
    assert not any(tensor.external_data for tensor in model.graph.initializer)
    assert "MediaPipe" in model.doc_string
    assert "Apache License 2.0" in model.doc_string


def test_a_changed_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file with another hash is not opened; the error says what to do."""
    monkeypatch.setitem(detector.SHA256, "face", "0" * 64)
    detector._open.cache_clear()
    with pytest.raises(BundleError, match="install fmtag again"):
        find_face(draw_person().pixels, HEAD)
    monkeypatch.undo()
    detector._open.cache_clear()
    assert find_face(draw_person().pixels, HEAD).score > 0.8


@pytest.mark.parametrize(
    "square", [Square(0, 0, 40), Square(-10, -20, 80), Square(30, 30, 40), Square(-100, 0, 50), Square(0, 90, 7)]
)
def test_squares_may_reach_beyond_the_photo(square: Square) -> None:
    """A square of any place has the photo where it overlaps it and the border's colour elsewhere."""
    pixels = np.full((50, 40, 3), (10, 20, 30), np.uint8)
    pixels[20:30, 15:25] = (200, 100, 50)
    cropped = crop_square(pixels, square, 64)
    assert cropped.shape == (64, 64, 3)
    assert cropped.dtype == np.uint8
    if square == Square(-10, -20, 80):
        assert tuple(cropped[36, 24]) == (200, 100, 50)  # row 25, column 20
    assert tuple(cropped[0, 0]) in {(10, 20, 30), (200, 100, 50)}


def test_the_border_colour_is_the_median_along_the_edges() -> None:
    """The border's colour is that of most of the outermost pixels, whatever lies within and in a corner."""
    pixels = np.full((60, 40, 3), 90, np.uint8)
    pixels[5:55, 5:35] = 7
    pixels[:10, :10] = 255
    assert border_colour(pixels).tolist() == [90, 90, 90]


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (40, 30), (33, 90), (400, 300), (301, 400)])
def test_the_border_colour_is_a_median_of_each_channel(shape: tuple[int, int]) -> None:
    """On any photo it is near the median of all pixels of the border; where these are few it is that, rounded down."""
    height, width = shape
    pixels = np.random.default_rng(height).integers(0, 256, (height, width, 3)).astype(np.uint8)
    rim = max(1, round(0.03 * min(shape)))
    strips = pixels[:rim], pixels[-rim:], pixels[:, :rim], pixels[:, -rim:]
    median = np.median(np.concatenate([strip.reshape(-1, 3) for strip in strips]), axis=0)
    few = 2 * rim * (height + width) < 2_000
    assert np.abs(border_colour(pixels) - np.floor(median)).max() <= (0 if few else 20)
