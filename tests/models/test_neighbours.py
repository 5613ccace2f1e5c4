"""Many photos: neighbours and groups as if all pairs had been compared, and memory that does not grow with the pairs."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tagger.adaptation import fit as learn_room
from tagger.adaptation.examples import MOST_LABELS, LabelledExamples, build_examples
from tagger.adaptation.fit import evenly_chosen, fit_adapter, spread_labels
from tagger.catalog.label_table import LabelledPhoto
from tagger.errors import DatasetError
from tagger.inference.predictor import Features
from tagger.models import neighbours
from tagger.models.adapter import BLOCK, embed_maps
from tagger.models.neighbours import SAME_PRODUCT, nearest, same_looking
from tagger.records import Item

pytestmark = pytest.mark.usefixtures("one_thread")

NO_GROUPS = np.full(1500, -1)


def look_at(photos: int, width: int = 48, kinds: int = 12, seed: int = 0) -> tuple[Features, Tensor]:
    """Return a look at photos of some kinds, in threes of one product, and their classes (n,), 0..2.

    What the network says is right for three quarters of the photos.
    """
    rng = torch.Generator().manual_seed(seed)
    products = torch.randint(kinds, (photos // 3 + 1,), generator=rng)
    centres = torch.randn(kinds, width, generator=rng)[products] + 0.5 * torch.randn(len(products), width, generator=rng)
    maps = centres.repeat_interleave(3, 0)[:photos] + 0.2 * torch.randn(photos, width, generator=rng)
    classes = products.repeat_interleave(3)[:photos] % 3
    wrong = torch.rand(photos, generator=rng) < 0.25
    said = torch.where(wrong, torch.randint(3, (photos,), generator=rng), classes)
    return Features(0.8 * functional.one_hot(said, 4) + 0.05, maps), classes


def lesson_on(photos: np.ndarray, classes: Tensor) -> LabelledExamples:
    """Return a lesson on some photos of three labels that the network knows."""
    return LabelledExamples(("a", "b", "c"), (0, 1, 2), photos, classes.numpy()[photos], np.arange(len(photos)))


@pytest.fixture
def by_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all but the smallest catalogs go the way of large ones."""
    monkeypatch.setattr(neighbours, "EXACT", 100)
    monkeypatch.setattr(neighbours, "LEAF", 200)


def all_cosines(directions: Tensor) -> Tensor:
    """Return the cosine of each photo with each, minus infinity with itself."""
    return (directions @ directions.T).fill_diagonal_(-torch.inf)


# Neighbours --------------------------------------------------------------------------------------------------------


def test_few_photos_have_exactly_their_nearest_neighbours() -> None:
    """Up to `EXACT` photos the neighbours are those of all pairs; of fewer photos than neighbours, all others."""
    directions = embed_maps(look_at(400)[0].maps)
    cosines, numbers = all_cosines(directions).topk(10, 1)
    found = nearest(directions, 10)
    assert torch.equal(found.numbers, numbers)
    assert torch.equal(found.cosines, cosines)
    assert sorted(nearest(directions[:4], 10).numbers[0].tolist()) == [1, 2, 3]
    assert nearest(directions[:1], 10).numbers.shape == (1, 0)


@pytest.mark.usefixtures("by_trees")
def test_trees_miss_next_to_nothing_that_counts() -> None:
    """Of the weight of all neighbours a hundredth at most is missed; nobody is his own neighbour, or one twice."""
    directions = embed_maps(look_at(1500)[0].maps)
    found = nearest(directions, 10)
    everything = all_cosines(directions)
    weights = [
        ((cosines - 1) / learn_room.SETTLING_WIDTH).exp().sum() for cosines in (found.cosines, everything.topk(10, 1)[0])
    ]
    assert weights[0] / weights[1] > 0.99
    assert torch.allclose(found.cosines, everything.gather(1, found.numbers), atol=1e-5)
    assert all(len(set(row)) == 10 for row in found.numbers.tolist())


@pytest.mark.usefixtures("by_trees")
def test_one_picture_repeated_is_no_harder_than_many() -> None:
    """Photos that are all the same split evenly like any others, have neighbours and are one product."""
    directions = functional.normalize(torch.ones(1500, 8), dim=1)
    found = nearest(directions, 10)
    assert (found.cosines > 0.999).all()
    assert len(set(same_looking(directions, np.arange(1500), NO_GROUPS))) == 1


# Products ----------------------------------------------------------------------------------------------------------


def by_all_pairs(directions: Tensor, together: np.ndarray) -> np.ndarray:
    """Return the groups of photos by the definition: whatever a chain of pairs links, numbered as they come."""
    known = (together[:, None] == together) & (together >= 0)
    linked = (directions @ directions.T > SAME_PRODUCT).numpy() | known
    numbers, group = np.full(len(linked), -1), 0
    for photo in range(len(linked)):
        if numbers[photo] < 0:
            waiting = [photo]
            while waiting:
                numbers[waiting] = group
                waiting = np.flatnonzero(linked[waiting].any(0) & (numbers < 0)).tolist()
            group += 1
    return numbers


@pytest.mark.parametrize("exact", [10_000, 100])
def test_products_are_those_of_all_pairs(exact: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups and their numbers are the same as by comparing each with each, also where the table names some of them."""
    monkeypatch.setattr(neighbours, "EXACT", exact)
    monkeypatch.setattr(neighbours, "LEAF", 200)
    directions = embed_maps(look_at(900, kinds=40)[0].maps)
    photos = np.arange(0, 900)
    together = np.where(photos % 50 == 0, photos // 100, -1)
    expected = by_all_pairs(directions, together)
    assert 1 < expected.max() < 600
    assert same_looking(directions, photos, together).tolist() == expected.tolist()
    some = photos[::2]
    assert same_looking(directions, some, together[some]).tolist() == by_all_pairs(directions[some], together[some]).tolist()
    assert same_looking(directions, some[:0], together[:0]).tolist() == []


# Settling ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("labelled", [0, 60, 300])
@pytest.mark.parametrize("repeated", [False, True])
def test_what_settles_solves_the_dense_system(labelled: int, repeated: bool) -> None:
    """The iteration ends at the solution of the linear system, even where all are alike and hear little of themselves."""
    look, classes = look_at(300)
    maps = look.maps[:15].repeat(20, 1) if repeated else look.maps
    directions = embed_maps(maps)
    lesson = lesson_on(np.arange(300)[:labelled], classes) if labelled else None
    cosines, numbers = found = nearest(directions, 10)
    heard = torch.zeros(300, 300, dtype=torch.float64).scatter_(1, numbers, ((cosines - 1) / 0.1).exp().double())
    total = heard.sum(1, keepdim=True) + 0.15
    system, begin = torch.eye(300) - heard / total, 0.15 * look.probabilities / total
    if lesson is not None:
        firm = torch.from_numpy(lesson.photos)
        system[firm], begin[firm] = 0.0, 0.0
        system[firm, firm], begin[firm, torch.from_numpy(lesson.classes)] = 1.0, 1.0
    solved = torch.linalg.solve(system, begin)
    assert torch.allclose(spread_labels(look.probabilities, found, lesson).double(), solved, atol=3e-6)


@pytest.mark.usefixtures("by_trees")
def test_large_catalogs_are_tagged_as_by_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Accuracy of a catalog learnt by trees differs by at most 0.002 from that of comparing each photo with each."""
    look, classes = look_at(1500)
    lesson = lesson_on(np.arange(0, 1500, 10), classes)
    approximate = fit_adapter(look, lesson, 1e-3).answer(look.probabilities, look.maps)
    monkeypatch.setattr(neighbours, "EXACT", 10_000)
    again = Features(look.probabilities, look.maps)
    exact = fit_adapter(again, lesson, 1e-3).answer(again.probabilities, again.maps)
    right = [float((answer[:, :-1].argmax(1) == classes).double().mean()) for answer in (approximate, exact)]
    assert right[1] > 0.9
    assert right[0] == pytest.approx(right[1], abs=0.002)


# What is remembered ------------------------------------------------------------------------------------------------


def test_rare_labels_are_remembered_whole() -> None:
    """Beyond the most that is remembered, frequent labels give way first, and what stays is spread over the catalog."""
    classes = np.array([0] * 500 + [1] * 20 + [2] * 300)
    kept = evenly_chosen(classes, 220)
    assert np.bincount(classes[kept]).tolist() == [100, 20, 100]
    assert kept.tolist() == sorted(set(kept.tolist()))
    assert kept[0] == 0
    assert kept[-1] == 819
    assert evenly_chosen(classes, 820).tolist() == list(range(820))


def test_a_bundle_remembers_so_many_photos_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a shop adds to a bundle stays as small as it is, and tags are hardly less right for it."""
    look, classes = look_at(900)
    lesson = lesson_on(np.arange(900), classes)
    whole = fit_adapter(look, lesson, 1e-3)
    monkeypatch.setattr(learn_room, "MOST_REMEMBERED", 300)
    fewer = fit_adapter(look, lesson, 1e-3)
    assert (len(whole.memory), len(fewer.memory), len(fewer.said)) == (900, 300, 300)
    new = look_at(900, seed=0)[0]
    right = [
        float((shop.answer(new.probabilities, new.maps)[:, :-1].argmax(1) == classes).double().mean())
        for shop in (whole, fewer)
    ]
    assert right[1] > right[0] - 0.05


def test_photos_are_answered_the_same_in_any_number() -> None:
    """More photos than are computed at once get the answers that each of them gets alone."""
    look, _ = look_at(BLOCK + 50)
    shop = fit_adapter(look)
    answers = shop.answer(look.probabilities, look.maps)
    for some in (slice(0, 64), slice(BLOCK - 10, BLOCK + 50)):
        assert torch.allclose(answers[some], shop.answer(look.probabilities[some], look.maps[some]), atol=1e-5)


# Tables ------------------------------------------------------------------------------------------------------------


def rows_of(labels: list[str]) -> list[LabelledPhoto]:
    """Return a row with each label."""
    return [LabelledPhoto(Item("x.jpg", Path("x.jpg")), label, "", False) for label in labels]


def test_a_wrong_column_is_said_in_a_sentence_of_bounded_length() -> None:
    """Thousands of labels with a single photo are counted, and more labels than can be learnt are refused."""
    directions = functional.normalize(torch.randn(4004, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    labels = ["Bag", "Dress", "Bag", "Dress", *(f"name {number}" for number in range(4000))]
    taught = build_examples(range(4004), rows_of(labels), ("Dress", "Bag"), directions, ["Bag"] * 4004, None)
    assert taught.lesson.photos.tolist() == [0, 1, 2, 3]
    assert "and 3995 more: a single photo each" in taught.said[0]
    assert len(taught.said[0]) < 200
    twice = [f"name {number % (MOST_LABELS + 1)}" for number in range(2 * (MOST_LABELS + 1))]
    with pytest.raises(DatasetError, match=r"1,001 different labels, .*--label-column"):
        build_examples(range(len(twice)), rows_of(twice), ("Dress", "Bag"), directions, ["Bag"] * 4004, "drop")


# Memory ------------------------------------------------------------------------------------------------------------

MANY = 20_000

LEARN_MANY = f"""
import resource
from pathlib import Path
import numpy as np, torch
from test_neighbours import look_at, rows_of
from tagger.models import neighbours
from tagger.adaptation.fit import fit_adapter
from tagger.adaptation.examples import build_examples
from tagger.models.adapter import embed_maps
torch.set_num_threads(1)
neighbours.TREES = 4  # they take time one after another, and no memory
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
kilobytes = int(status["VmSize"].split()[0])
resource.setrlimit(resource.RLIMIT_AS, (kilobytes * 1024 + 500 * 2**20,) * 2)
look, classes = look_at({MANY}, 16)
rows = rows_of([("a", "b", "c")[label] for label in classes])
lesson = build_examples(range({MANY}), rows, ("a", "b", "c"), embed_maps(look.maps), ["a"] * {MANY}, None).lesson
shop = fit_adapter(look, lesson, 1e-3)
print(len(lesson.photos), len(set(lesson.products)), len(shop.memory))
"""
"""In no more than 500 MB beside the libraries; the matrix of all pairs alone takes 1.6 GB."""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is told by what Linux says of a process")
def test_many_labels_are_learnt_in_little_memory() -> None:
    """Grouping by product and learning from 20,000 labelled photos stays within bounds that no matrix of all pairs fits in."""
    variables = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", LEARN_MANY], env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    labelled, products, remembered = map(int, done.stdout.split())
    assert labelled == MANY
    assert 1 < products < MANY
    assert remembered == learn_room.MOST_REMEMBERED
