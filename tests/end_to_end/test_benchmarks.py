"""Small runs of the benchmarks on drawn photos: their tables have the rows and metrics that they promise."""

import csv
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import draw_photo

from benchmarks.accuracy import ablation
from benchmarks.accuracy import fashion_mnist as accuracy
from benchmarks.accuracy import label_noise as noise
from benchmarks.accuracy import product as product_benchmark
from benchmarks.robustness import ood as ood_benchmark
from tagger.data import fashion_mnist, splits
from tagger.data.images import Images
from tagger.data.labels import GROUPS, LABELS, NONE
from tagger.data.splits import kept_for_calibration, kept_for_reporting
from tagger.models import bundle
from tagger.models.card import Card
from tagger.models.config import NetworkConfig
from tagger.models.network import Network
from tagger.photos import product
from tagger.records import Photo
from tagger.synthesis import mix

pytestmark = pytest.mark.usefixtures("one_thread")

INTERVAL = re.compile(r"[01]\.\d{3} \([01]\.\d{3}-[01]\.\d{3}\)")


def write_folder(folder: Path, labels: Sequence[str], first: int) -> Path:
    """Write a photo per label, each its own group, with a labels.csv."""
    folder.mkdir(parents=True)
    with (folder / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "label", "kind", "group"])
        for number, label in enumerate(labels):
            draw_photo(first + number, (120, 160)).save(folder / f"{number}.jpg")
            kind = "Top (ambiguous)" if number == 0 else label
            table.writerow([f"{number}.jpg", label, kind, number])
    return folder


def cells(report: str, heading: str) -> dict[str, list[str]]:
    """Return the rows of the table whose heading begins so, by their first cell."""
    lines = iter(report.splitlines())
    next(line for line in lines if line.startswith(heading))
    next(lines)
    rows = {}
    for line in lines:
        if not line.startswith("|"):
            break
        name, *others = (cell.strip() for cell in line.strip("|").split("|"))
        rows[name] = others
    return rows


@pytest.mark.slow
def test_product_prints_what_it_writes(tmp_path: Path, small_bundle: Path) -> None:
    """The command gives a row of cost for each folder with all its photos, and a row for each method with an accuracy."""
    shop = write_folder(tmp_path / "shop", [LABELS[at % 5] for at in range(14)], 0)
    ood = write_folder(tmp_path / "ood", ["OOD"] * 3, 50)
    out = tmp_path / "product.md"
    options = ["--model", small_bundle, "--passes", "1", "--out", out]
    command = [sys.executable, "-m", "benchmarks.accuracy.product", shop, ood, *options]
    done = subprocess.run([str(part) for part in command], capture_output=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr.decode()
    report = out.read_text(encoding="utf-8")
    assert report == done.stdout.decode()
    costs = cells(report, "| photos |")
    assert {name: n for name, (n, _) in costs.items()} == {"shop": "14", "ood": "3"}
    assert all(float(cost) > 0 for _, cost in costs.values())
    looked_at = sum(not kept_for_reporting("shop", str(at)) for at in range(1, 14))  # the first is loosely mapped
    assert f"shop, n = {looked_at} ({looked_at})" in report
    methods = cells(report, "| method |")
    assert list(methods) == list(product_benchmark.METHODS)
    for cost, share, mean, not_found in methods.values():
        assert float(cost) > 0
        assert INTERVAL.fullmatch(share)
        assert share.startswith(mean)
        assert not_found == "0.0%"


@pytest.mark.parametrize("steps", [steps for steps in ablation.CUTS.values() if steps])
def test_steps_of_the_cut_can_be_switched_off(steps: tuple[Callable[[], AbstractContextManager[None]], ...]) -> None:
    """Each step that the ablation leaves out exists under its name."""
    with ExitStack() as stack:
        for step in steps:
            stack.enter_context(step())


def test_steps_of_the_mix_can_be_switched_off() -> None:
    """Each step of the mix that the ablation leaves out exists under its name."""
    with ablation.replaced("_staged", *ablation.DEGRADATIONS):
        assert mix.warp_perspective is ablation.as_it_is


@pytest.mark.parametrize("name", [name for way in product_benchmark.METHODS.values() for name in way])
def test_methods_replace_functions_of_product_detection(name: str) -> None:
    """Each function that a method of the product benchmark replaces exists under its name."""
    assert callable(getattr(product, name))


@pytest.mark.parametrize("method", ["by_grabcut", "by_watershed", "by_otsu", "by_canny"])
def test_every_method_finds_a_plain_product(method: str) -> None:
    """A dark square on white is found to a pixel or two, and nothing on a plain background."""
    pixels = np.full((120, 90, 3), 250, np.uint8)
    pixels[30:90, 25:65] = (40, 60, 120)
    find = getattr(product_benchmark, method)
    mask = find(pixels)
    assert mask.shape == (120, 90)
    assert {0, 255} == set(np.unique(mask))
    assert np.mean((mask > 0) != (pixels[:, :, 0] < 100)) < 0.02
    if method in ("by_grabcut", "by_otsu", "by_canny"):  # a watershed always floods from the centre
        assert find(np.full((120, 90, 3), 250, np.uint8)) is None


def test_functions_are_restored() -> None:
    """Within the block the module uses the replacement, afterwards its own function again, even after an error."""
    own = product.product_mask
    photo = Photo(np.asarray(draw_photo(1)))

    def fail_within() -> None:
        with product_benchmark.replaced_functions({"product_mask": lambda pixels: None}):
            assert not product.extract_product(photo).found
            raise RuntimeError("within")

    with pytest.raises(RuntimeError, match="within"):
        fail_within()
    assert own is product.product_mask
    assert product.extract_product(photo).found


@pytest.fixture
def two_headed(tmp_path: Path) -> Path:
    """A bundle of a tiny network with a head for photos, which has a class for OOD products."""
    torch.manual_seed(3)
    config = NetworkConfig(widths=(8, 16), photo_classes=NONE + 1)
    network = Network(config)
    card = Card("two", LABELS, GROUPS, config, product.VERSION, temperature=1.0, min_confidence=0.5)
    bundle.save(tmp_path / "two", card, network)
    return tmp_path / "two"


@pytest.fixture
def few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace Fashion-MNIST's held-out images by drawn ones."""
    drawn = [product.extract_product(Photo(np.asarray(draw_photo(900 + at)))).pixels for at in range(40)]
    held_out = Images(torch.from_numpy(np.stack(drawn))[:, None], torch.arange(40) % NONE)
    monkeypatch.setattr(fashion_mnist, "load_fashion_mnist", lambda split, folder=None: held_out)
    monkeypatch.setattr(splits, "validation_split", lambda images: (images, images))


@pytest.mark.usefixtures("few_images")
def test_ood_compares_every_score(tmp_path: Path, two_headed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """OOD photos alone are compared with clear known ones, mixed folders within; best first; no sender fitted on counts."""
    mixed = [*(LABELS[at % 9] for at in range(50)), *["OOD"] * 20]
    home = write_folder(tmp_path / "home", mixed, 100)
    shop = write_folder(tmp_path / "shop", ["Bag", *(LABELS[at % 9] for at in range(15))], 200)
    (shop / "labels.csv").write_text((shop / "labels.csv").read_text().replace("Top (ambiguous)", "Bag"))
    ood = write_folder(tmp_path / "ood", ["OOD"] * 10, 300)
    out = tmp_path / "ood.md"
    arguments = [shop, ood, home, "--photos", home, "--model", two_headed, "--out", out]
    ood_benchmark.main([str(argument) for argument in arguments])
    report = out.read_text(encoding="utf-8")
    assert report == capsys.readouterr().out

    heading = next(line for line in report.splitlines() if line.startswith("| score |"))
    titles = [cell.strip() for cell in heading.split("|") if "AUROC" in cell]
    halves_of = [f"{name}, {half}: AUROC" for name in ("ood", "home") for half in ("looked at", "kept")]
    assert halves_of == titles
    scores = cells(report, "| score |")
    singles = [name for name in scores if "ranks of" not in name and "deviations of" not in name]
    assert len(singles) == 11
    assert len(scores) - len(singles) in (2, 4)
    metrics = {name: [float(cell) for cell in row[1:]] for name, row in scores.items()}
    assert {8} == {len(row) for row in metrics.values()}
    assert all(0 <= metric <= 1 for row in metrics.values() for metric in row)
    looked_at = [row[0] for row in metrics.values()]  # the other folder was learnt from, so it does not sort
    assert sorted(looked_at, reverse=True) == looked_at

    halves = [kept_for_reporting("home", str(at)) for at in range(70)]
    fitted = [kept_for_calibration("home", str(at)) and not halves[at] for at in range(70)]
    assert any(fitted)
    assert f"{sum(fitted)} photos of their senders are left out" in report
    unknown = sum(not halves[at] and not fitted[at] for at in range(50, 70))
    assert f"| home | looked at | {unknown} ({unknown}) | home |" in report


@pytest.mark.usefixtures("few_images")
def test_ood_scores_are_fitted_on_known_products(tmp_path: Path) -> None:
    """Of the labelled photos, scores are fitted on known products of the senders for calibration alone."""
    home = write_folder(tmp_path / "home", ["OOD", "Bag"] * 30, 400)
    options = type("Options", (), {"photos": home, "data": None})
    known, files = ood_benchmark.photos_to_fit(options)
    chosen = [at for at in range(60) if kept_for_calibration("home", str(at)) and not kept_for_reporting("home", str(at))]
    assert {(home / f"{at}.jpg").resolve() for at in chosen} == files
    assert 40 + sum(at % 2 for at in chosen) == len(known)
    assert NONE not in known.labels


def test_shapes_of_masks() -> None:
    """A full square is solid and square; a frame lacks its middle; a bar is wide; an empty mask is no error."""
    shape = ood_benchmark._shape
    image = np.zeros((28, 28), np.uint8)
    assert np.isfinite(shape(image)).all()
    image[5:15, 5:15] = 200
    assert pytest.approx((1, 1, 0)) == shape(image)
    image[7:13, 7:13] = 0
    assert pytest.approx((0.64, 0.64, 0)) == shape(image)
    image[:] = 0
    image[4:8, 2:22] = 9
    assert pytest.approx((1, 1, np.log(5))) == shape(image)


@pytest.mark.parametrize("bundle", ["small_bundle", "fused_bundle"])
def test_runs_without_changes_are_timed(bundle: str, request: pytest.FixtureRequest) -> None:
    """The command gives a row for each number of files, whose runs scored no photo and changed nothing."""
    command = [sys.executable, "-m", "benchmarks.speed.nightly", "--files", "30", "--rows", "50", "--runs", "1"]
    model = request.getfixturevalue(bundle)
    done = subprocess.run([*command, "--model", model], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert re.search(r"\| 30 \| 50 (\| -?\d+\.\d\d ){4}\| -?\d+ \| \d+ \|", done.stdout)


@pytest.mark.slow
def test_another_head_is_timed(fused_bundle: Path, small_bundle: Path) -> None:
    """The command gives a row for each number of photos, all of which were re-tagged from embeddings and none read."""
    command = [sys.executable, "-m", "benchmarks.speed.retag", "--photos", "30", "--runs", "1", "--model"]
    done = subprocess.run([*command, fused_bundle], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert re.search(r"\| 30 (\| -?\d+\.\d\d ){4}\| -?[\d,]+ \| \d+ \| \d+ \| \d+ \+ \d+ \|", done.stdout)
    refused = subprocess.run([*command, small_bundle], capture_output=True, text=True, timeout=300)
    assert "has no backbone" in refused.stderr


@pytest.mark.slow
def test_memory_is_compared_with_that_of_the_fewest_photos(small_bundle: Path) -> None:
    """The command gives a row for each number of photos, from the fewest on, all of which were scored."""
    command = [sys.executable, "-m", "benchmarks.speed.memory", "--photos", "9", "--photos", "3", "--model", small_bundle]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert re.search(r"\| 3 \| [\d.]+ \| \d+ \| \d+ \| 1\.000 \|.*\n\| 9 \| [\d.]+ \| \d+ \| \d+ \| \d\.\d{3} \|", done.stdout)


# Accuracy ----------------------------------------------------------------------------------------------------------


def run_of(variant: str, wrong: Sequence[int], more: Sequence[int] | None = None) -> dict[str, object]:
    """Return a run as `fashion_mnist train` writes it, of 100 images held out and perhaps 300 more."""
    scored = {"held_out": {"n": 100, "cross_entropy": 0.2, "wrong": list(wrong)}}
    if more is not None:
        scored["more"] = {"n": 300, "cross_entropy": 0.4, "wrong": list(more)}
    return {"variant": variant, "epochs": 8, "seed": 0, "parameters": 5000, "macs": 2_500_000, "seconds": 60, **scored}


def test_ablations_compare_the_same_images() -> None:
    """A variant is compared with the reference on the images that both may be measured on, by McNemar's exact test."""
    runs = [
        run_of("no cutout", [1, 2, 3, 4, 5, 6], [10, 11]),
        run_of("reference", [1], [11]),
        run_of("taught by residual, 0.7", []),
    ]
    rows = cells("\n".join(accuracy.ablations(runs)), "|  | parameters |")
    assert list(rows) == ["reference", "no cutout", "taught by residual, 0.7"]
    assert rows["reference"][3:] == ["400", "99.50 %", "-", "0.3500"]
    assert rows["no cutout"][3:] == ["400", "98.00 %", "-1.50 points, p = 0.031", "0.3500"]  # 6 to 0: twice 0.5 to the sixth
    assert rows["taught by residual, 0.7"][3:] == ["100", "100.00 %", "+1.00 points, p = 1", "0.2000"]


@pytest.mark.slow
def test_every_variant_can_be_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each variant trains, is measured on what was left out, and leaves the recipe's own functions as they were."""
    drawn = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (420, 1, 28, 28), np.uint8))
    images = Images(drawn, torch.arange(420) % 10)
    monkeypatch.setattr(fashion_mnist, "load_fashion_mnist", lambda split, folder=None: images)
    monkeypatch.setattr(
        splits, "validation_split", lambda some: (some.take(torch.arange(20, 420)), some.take(torch.arange(20)))
    )
    monkeypatch.setattr(accuracy, "MORE", 130)
    before = dict(vars(accuracy.recipe_room))
    for name in ("reference", "never mirrored", "mirrored at random", "Nesterov SGD", "cosine", "batches of 256"):
        run = accuracy.trained(name, 1, 0)
        assert (run["held_out"]["n"], run["more"]["n"]) == (20, 130)
        assert 0 <= accuracy.accuracy(run["more"]) <= 1
    taught = accuracy.trained("taught by residual, 0.7, easy pictures less often, as many steps", 1, 0)
    assert "more" not in taught  # its teacher was trained on them
    assert before == dict(vars(accuracy.recipe_room))


# Label noise -------------------------------------------------------------------------------------------------------


def test_doubtful_labels_are_drawn_blind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The images with the least probable labels are drawn with random others, and nothing tells which is which."""
    monkeypatch.setattr(noise, "DOUBTFUL", 30)
    monkeypatch.setattr(noise, "OTHERS", 30)
    labels = np.arange(200) % 10
    probabilities = np.full((200, 10), 0.01)
    probabilities[np.arange(200), labels] = 0.91
    probabilities[:30] = 0.01
    probabilities[np.arange(30), (labels[:30] + 1) % 10] = 0.91
    questions = noise.questions(probabilities, labels)
    assert set(range(30)) == {question.index for question in questions if question.doubtful}
    assert len({question.index for question in questions}) == 60
    assert all(labels[question.index] in (question.first, question.second) for question in questions)
    assert all(question.first != question.second for question in questions)
    places = [place for place, question in enumerate(questions) if question.doubtful]
    assert 20 < np.mean(places) < 40
    first = sum(question.first == labels[question.index] for question in questions)
    assert 15 < first < 45
    images = Images(torch.zeros(200, 1, 28, 28, dtype=torch.uint8), torch.from_numpy(labels))
    noise.draw(questions, images, tmp_path)
    assert len(list(tmp_path.glob("sheet-*.png"))) == 2


def test_verdicts_are_compared_with_the_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The own label is right, another or neither wrong, both cannot be told; an empty row is refused."""
    monkeypatch.setattr(noise, "VERDICTS", tmp_path / "seen.csv")
    head = "number,index,doubtful,first,second,seen\n"
    body = "".join(f"{row},{row},{row < 2},Coat,Bag,{seen}\n" for row, seen in enumerate(noise.SEEN))
    (tmp_path / "seen.csv").write_text(head + body)
    coat = np.full(4, LABELS.index("Coat"))
    assert [verdict.label for verdict in noise.verdicts(coat)] == ["right", "wrong", "cannot be told", "wrong"]
    assert [verdict.doubtful for verdict in noise.verdicts(coat)] == [True, True, False, False]
    (tmp_path / "seen.csv").write_text(head + "7,0,True,Coat,Bag,\n")
    with pytest.raises(SystemExit, match="7"):
        noise.verdicts(coat)


def test_the_committed_verdicts_are_whole() -> None:
    """Every image of the committed table was checked once, 200 doubtful and 100 random ones."""
    looked = noise.verdicts(np.zeros(10_000, np.int64))
    assert tuple(sum(verdict.doubtful == doubtful for verdict in looked) for doubtful in (True, False)) == (200, 100)
    assert len({verdict.index for verdict in looked}) == 300
