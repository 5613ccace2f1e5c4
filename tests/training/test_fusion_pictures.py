"""What a fusion learns from is of other senders than what it is calibrated and reported on, and the same every time."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fusion_helpers import FEATURES, person_image, tiny_backbone
from home_photos import CALIBRATING, KINDS, LEARNING, PAINTED, fashion_images, little_data, write_home

from tagger.data.labels import NONE
from tagger.errors import TrainingError
from tagger.inference.onnx_backbone import OnnxBackbone
from tagger.inference.predictor import Predictor
from tagger.models.bundle import load
from tagger.training import fusion_pictures
from tagger.training.fusion_pictures import STAGED, Pictures, collect_pictures

__all__ = ["little_data"]

pytestmark = pytest.mark.usefixtures("one_thread", "little_data")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of labelled photos."""
    return write_home(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def predictor(photo_bundle: Path) -> Predictor:
    """The small network."""
    return Predictor(load(photo_bundle), "cpu")


@pytest.fixture(scope="module")
def backbone() -> OnnxBackbone:
    """The tiny backbone."""
    return OnnxBackbone(tiny_backbone())


def collected(home: Path, predictor: Predictor, backbone: OnnxBackbone, calibration: bool, seed: int = 0) -> Pictures:
    """Return pictures with a few images in Fashion-MNIST's place."""
    images = fashion_images(40)
    return collect_pictures(home, (images.pixels[:, 0].numpy(), images.labels.numpy()), predictor, backbone, seed, calibration)


def test_photos_are_of_the_right_senders(home: Path, predictor: Predictor, backbone: OnnxBackbone) -> None:
    """Each photo is there in its box and cut out, and to learn from three times staged anew; those to report on are not."""
    for calibration, photos, staged in ((False, LEARNING, STAGED), (True, CALIBRATING, 0)):
        pictures = collected(home, predictor, backbone, calibration)
        plain = ~pictures.painted & ~pictures.staged
        classes = [0] * photos + [1] * photos + [NONE] * photos
        assert np.repeat(classes, 2).tolist() == pictures.classes[plain].tolist()
        assert sorted(staged * classes) == sorted(pictures.classes[pictures.staged].tolist())
        assert not (pictures.painted & pictures.staged).any()


def test_painted_pictures_are_of_every_class(home: Path, predictor: Predictor, backbone: OnnxBackbone) -> None:
    """As many of each as wanted, a fifth to calibrate on: Fashion-MNIST's classes, more of shoes and bags, other objects."""
    for calibration, share in ((False, 1.0), (True, 0.2)):
        pictures = collected(home, predictor, backbone, calibration)
        counts = np.bincount(pictures.classes[pictures.painted], minlength=NONE + 1)
        wanted = np.full(NONE + 1, PAINTED["fashion-mnist"])
        wanted[[5, 7, 9]] += PAINTED["shoes"]
        wanted[8] += PAINTED["bags"]
        wanted[NONE] = PAINTED["other objects"]
        assert (share * wanted).tolist() == counts.tolist()


def test_what_networks_say_is_of_each_picture(home: Path, predictor: Predictor, backbone: OnnxBackbone) -> None:
    """Rows for both networks, in the order of the classes: photos of one colour have features nearer to each other."""
    pictures = collected(home, predictor, backbone, calibration=True)
    n = len(pictures)
    assert [(n, 11), (n, FEATURES), (n, 1000)] == [one.shape for one in (pictures.small, pictures.features, pictures.logits)]
    features = pictures.features[: 6 * CALIBRATING : 2].reshape(3, CALIBRATING, FEATURES)
    spread = np.linalg.norm(features - features.mean(1, keepdims=True), axis=2).mean()
    assert np.linalg.norm(features.mean(1)[0] - features.mean(1)[1]) > 2 * spread


@pytest.mark.slow
def test_pictures_are_seeded(home: Path, predictor: Predictor, backbone: OnnxBackbone, monkeypatch: pytest.MonkeyPatch) -> None:
    """A seed gives the same bits whatever is in memory at a time; another seed gives other painted pictures."""
    first = collected(home, predictor, backbone, calibration=False)
    monkeypatch.setattr(fusion_pictures, "_AT_ONCE", 5)
    again, other = (collected(home, predictor, backbone, False, seed) for seed in (0, 1))
    for name in ("classes", "painted", "staged", "small", "features", "logits"):
        assert np.array_equal(getattr(first, name), getattr(again, name))
    assert not np.array_equal(first.features[first.painted], other.features[other.painted])
    plain = ~first.painted & ~first.staged
    assert np.array_equal(first.features[plain], other.features[plain])


def test_both_networks_look_at_the_same_part_of_a_person(
    home: Path, predictor: Predictor, backbone: OnnxBackbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The most probable one by the framing, whatever the small network would choose."""
    people = [person_image(seed) for seed in range(3 * CALIBRATING)]
    waiting = iter(people)
    monkeypatch.setattr(fusion_pictures, "extract_product", lambda photo: next(waiting))
    monkeypatch.setattr(fusion_pictures, "available_processors", lambda: 1)
    pictures = collected(home, predictor, backbone, calibration=True)
    photos = ~pictures.painted
    alone = [replace(person, regions=()) for person in people]
    expected = backbone([person.colour for person in people if person.colour is not None])[0]
    for way in (0, 1):  # in its box and cut out, which is the same for what a person wears
        assert np.array_equal(pictures.small[photos][way::2], predictor.extract(alone).probabilities)
        assert np.array_equal(pictures.features[photos][way::2], expected)
    assert not np.array_equal(pictures.small[photos][::2], predictor.extract(people).probabilities)


def test_progress_counts_pictures(home: Path, predictor: Predictor, backbone: OnnxBackbone) -> None:
    """The last number is that of all pictures."""
    images, done = fashion_images(40), list[int]()
    native = (images.pixels[:, 0].numpy(), images.labels.numpy())
    pictures = collect_pictures(home, native, predictor, backbone, 0, True, done.append)
    assert len(pictures) == done[-1]
    assert sorted(done) == done


def test_damaged_photos_are_left_out(tmp_path: Path, predictor: Predictor, backbone: OnnxBackbone) -> None:
    """A folder of damaged photos alone is refused in one sentence; a single damaged one is left out."""
    home = write_home(tmp_path)
    photos = sorted(file for file in home.glob("*-1-*.png"))
    photos[0].write_bytes(b"no image")
    pictures = collected(home, predictor, backbone, calibration=True)
    assert 2 * (len(KINDS) * CALIBRATING - 1) == (~pictures.painted).sum()
    for file in photos:
        file.write_bytes(b"no image")
    with pytest.raises(TrainingError, match=r"^The photos are too few, or none of them can be read; .*\.$"):
        collected(home, predictor, backbone, calibration=True)
