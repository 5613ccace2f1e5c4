"""The benchmarks' own code: small runs of each on drawn photos, whose tables have the rows and the figures they promise."""
# ruff: noqa: SIM300 - what is expected stands first, as in every test here

import csv
import importlib.util
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from helpers import ROOT, draw_photo

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

INTERVAL = re.compile(r"[01]\.\d{3} \([01]\.\d{3}-[01]\.\d{3}\)")


def write_folder(folder: Path, labels: Sequence[str], first: int) -> Path:
    """Write a photo a label, each its own group, with a labels.csv."""
    folder.mkdir(parents=True)
    with (folder / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "label", "kind", "group"])
        for number, label in enumerate(labels):
            draw_photo(first + number, (120, 160)).save(folder / f"{number}.jpg")
            kind = "Top (ambiguous)" if number == 0 else label
            table.writerow([f"{number}.jpg", label, kind, number])
    return folder


def loaded(name: str) -> ModuleType:
    """Return a benchmark as a module, under a name that hides none of fmtag's."""
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", ROOT / "benchmarks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where its dataclasses look for their own module
    spec.loader.exec_module(module)
    return module


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
def test_garment_prints_what_it_writes(tmp_path: Path, small_bundle: Path) -> None:
    """As a command: a line of cost for each folder with all its photos, and a line for each way with an accuracy."""
    shop = write_folder(tmp_path / "shop", [LABELS[at % 5] for at in range(14)], 0)
    strange = write_folder(tmp_path / "strange", ["OOD"] * 3, 50)
    out = tmp_path / "garment.md"
    options = ["--model", small_bundle, "--passes", "1", "--out", out]
    command = [sys.executable, ROOT / "benchmarks" / "garment.py", shop, strange, *options]
    done = subprocess.run([str(part) for part in command], capture_output=True, timeout=300, check=True)
    report = out.read_text(encoding="utf-8")
    assert report == done.stdout.decode()
    costs = cells(report, "| photos |")
    assert {"shop": "14", "strange": "3"} == {name: n for name, (n, _) in costs.items()}
    assert all(float(cost) > 0 for _, cost in costs.values())
    looked_at = sum(not kept_for_reporting("shop", str(at)) for at in range(1, 14))  # the first is loosely mapped
    assert f"shop, n = {looked_at} ({looked_at})" in report
    ways = cells(report, "| way |")
    assert list(loaded("garment").WAYS) == list(ways)
    for cost, share, mean, unmasked in ways.values():
        assert float(cost) > 0
        assert INTERVAL.fullmatch(share)
        assert share.startswith(mean)
        assert "0.0%" == unmasked


@pytest.mark.parametrize("way", ["by_grabcut", "by_watershed", "by_otsu", "by_canny"])
def test_every_way_finds_a_plain_product(way: str) -> None:
    """A dark square on white is found to a pixel or two, and nothing on an even ground."""
    pixels = np.full((120, 90, 3), 250, np.uint8)
    pixels[30:90, 25:65] = (40, 60, 120)
    find = getattr(loaded("garment"), way)
    mask = find(pixels)
    assert (120, 90) == mask.shape
    assert {0, 255} == set(np.unique(mask))
    assert 0.02 > np.mean((mask > 0) != (pixels[:, :, 0] < 100))
    if way in ("by_grabcut", "by_otsu", "by_canny"):  # a watershed always floods from the centre
        assert find(np.full((120, 90, 3), 250, np.uint8)) is None


def test_swaps_last_no_longer_than_asked() -> None:
    """Within, `product` uses the replacement; afterwards its own again, even if something failed."""
    benchmark, own = loaded("garment"), product.product_mask
    photo = Photo(np.asarray(draw_photo(1)))

    def fail_within() -> None:
        with benchmark.swapped({"product_mask": lambda pixels: None}):
            assert not product.extract_product(photo).found
            raise RuntimeError("within")

    with pytest.raises(RuntimeError, match="within"):
        fail_within()
    assert own is product.product_mask
    assert product.extract_product(photo).found


@pytest.fixture
def two_headed(tmp_path: Path) -> Path:
    """A bundle of a tiny network with a head for photos, which knows strangers."""
    torch.manual_seed(3)
    config = NetworkConfig(widths=(8, 16), photo_classes=NONE + 1)
    network = Network(config)
    card = Card("two", LABELS, GROUPS, config, product.VERSION, temperature=1.0, min_confidence=0.5)
    bundle.save(tmp_path / "two", card, network)
    return tmp_path / "two"


@pytest.fixture
def few_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put drawn blobs in the place of Fashion-MNIST's held-out pictures."""
    drawn = [product.extract_product(Photo(np.asarray(draw_photo(900 + at)))).pixels for at in range(40)]
    held_out = Images(torch.from_numpy(np.stack(drawn))[:, None], torch.arange(40) % NONE)
    monkeypatch.setattr(fashion_mnist, "load_fashion_mnist", lambda split, folder=None: held_out)
    monkeypatch.setattr(splits, "validation_split", lambda pictures: (pictures, pictures))


@pytest.mark.usefixtures("few_pictures")
def test_ood_compares_every_score(tmp_path: Path, two_headed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Strangers alone against the clear known ones, mixed folders within; best first; no sender fitted on is counted."""
    mixed = [*(LABELS[at % 9] for at in range(50)), *["OOD"] * 20]
    home = write_folder(tmp_path / "home", mixed, 100)
    shop = write_folder(tmp_path / "shop", ["Bag", *(LABELS[at % 9] for at in range(15))], 200)
    (shop / "labels.csv").write_text((shop / "labels.csv").read_text().replace("Top (ambiguous)", "Bag"))
    strange = write_folder(tmp_path / "strange", ["OOD"] * 10, 300)
    out = tmp_path / "ood.md"
    arguments = [shop, strange, home, "--photos", home, "--model", two_headed, "--out", out]
    benchmark = loaded("ood")
    benchmark.main([str(argument) for argument in arguments])
    report = out.read_text(encoding="utf-8")
    assert report == capsys.readouterr().out

    heading = next(line for line in report.splitlines() if line.startswith("| score |"))
    titles = [cell.strip() for cell in heading.split("|") if "AUROC" in cell]
    halves_of = [f"{name}, {half}: AUROC" for name in ("strange", "home") for half in ("looked at", "kept")]
    assert halves_of == titles
    scores = cells(report, "| score |")
    singles = [name for name in scores if "ranks of" not in name and "deviations of" not in name]
    assert 11 == len(singles)
    assert len(scores) - len(singles) in (2, 4)
    figures = {name: [float(cell) for cell in row[1:]] for name, row in scores.items()}
    assert {8} == {len(row) for row in figures.values()}
    assert all(0 <= figure <= 1 for row in figures.values() for figure in row)
    looked_at = [row[0] for row in figures.values()]  # the other folder was learnt from, so it does not sort
    assert sorted(looked_at, reverse=True) == looked_at

    halves = [kept_for_reporting("home", str(at)) for at in range(70)]
    fitted = [kept_for_calibration("home", str(at)) and not halves[at] for at in range(70)]
    assert any(fitted)
    assert f"{sum(fitted)} photos of their senders are left out" in report
    strangers = sum(not halves[at] and not fitted[at] for at in range(50, 70))
    assert f"| home | looked at | {strangers} ({strangers}) | home |" in report


@pytest.mark.usefixtures("few_pictures")
def test_ood_fits_on_no_stranger(tmp_path: Path) -> None:
    """Of the labelled photos, only known ones of senders to calibrate by are fitted on."""
    home = write_folder(tmp_path / "home", ["OOD", "Bag"] * 30, 400)
    options = type("Options", (), {"photos": home, "data": None})
    known, files = loaded("ood").fitted_on(options)
    chosen = [at for at in range(60) if kept_for_calibration("home", str(at)) and not kept_for_reporting("home", str(at))]
    assert {(home / f"{at}.jpg").resolve() for at in chosen} == files
    assert 40 + sum(at % 2 for at in chosen) == len(known)
    assert NONE not in known.labels


def test_ood_shape_is_in_order() -> None:
    """A full square is solid and square; a frame lacks its middle; a bar is wide; nothing at all is no error."""
    shape = loaded("ood")._shape
    picture = np.zeros((28, 28), np.uint8)
    assert np.isfinite(shape(picture)).all()
    picture[5:15, 5:15] = 200
    assert pytest.approx((1, 1, 0)) == shape(picture)
    picture[7:13, 7:13] = 0
    assert pytest.approx((0.64, 0.64, 0)) == shape(picture)
    picture[:] = 0
    picture[4:8, 2:22] = 9
    assert pytest.approx((1, 1, np.log(5))) == shape(picture)


def test_nights_are_timed_over_files_that_nobody_looks_at(small_bundle: Path) -> None:
    """As a command: a row for each number of files, whose runs looked at none of them and changed nothing."""
    command = [sys.executable, ROOT / "benchmarks" / "nightly.py", "--files", "30", "--rows", "50", "--runs", "1"]
    done = subprocess.run([*command, "--model", small_bundle], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert re.search(r"\| 30 \| 50 \| \d+\.\d\d \| \d+\.\d\d \| -?\d+\.\d\d \| -?\d+ \| \d+ \|", done.stdout)


# Accuracy ----------------------------------------------------------------------------------------------------------


def run_of(variant: str, wrong: Sequence[int], more: Sequence[int] | None = None) -> dict[str, object]:
    """Return a run as `accuracy.py train` writes it, of 100 pictures held out and perhaps 300 more."""
    scored = {"held_out": {"n": 100, "cross_entropy": 0.2, "wrong": list(wrong)}}
    if more is not None:
        scored["more"] = {"n": 300, "cross_entropy": 0.4, "wrong": list(more)}
    return {"variant": variant, "epochs": 8, "seed": 0, "parameters": 5000, "macs": 2_500_000, "seconds": 60, **scored}


def test_ablations_compare_the_same_pictures() -> None:
    """A variant is held against the reference on the pictures that both may be measured on, by McNemar's exact test."""
    accuracy = loaded("accuracy")
    runs = [
        run_of("no cutout", [1, 2, 3, 4, 5, 6], [10, 11]),
        run_of("reference", [1], [11]),
        run_of("taught by residual, 0.7", []),
    ]
    rows = cells("\n".join(accuracy.ablations(runs)), "|  | parameters |")
    assert ["reference", "no cutout", "taught by residual, 0.7"] == list(rows)
    assert ["400", "99.50 %", "-", "0.3500"] == rows["reference"][3:]
    assert ["400", "98.00 %", "-1.50 points, p = 0.031", "0.3500"] == rows["no cutout"][3:]  # 6 to 0: twice 0.5 to the sixth
    assert ["100", "100.00 %", "+1.00 points, p = 1", "0.2000"] == rows["taught by residual, 0.7"][3:]


def test_every_variant_can_be_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each variant trains, is measured on what was left out, and leaves the recipe's own functions as they were."""
    accuracy = loaded("accuracy")
    drawn = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (420, 1, 28, 28), np.uint8))
    pictures = Images(drawn, torch.arange(420) % 10)
    monkeypatch.setattr(fashion_mnist, "load_fashion_mnist", lambda split, folder=None: pictures)
    monkeypatch.setattr(
        splits, "validation_split", lambda some: (some.take(torch.arange(20, 420)), some.take(torch.arange(20)))
    )
    monkeypatch.setattr(accuracy, "MORE", 130)
    before = dict(vars(accuracy.recipe_room))
    for name in ("reference", "never mirrored", "Nesterov SGD", "cosine", "batches of 256"):
        run = accuracy.trained(name, 1, 0)
        assert (20, 130) == (run["held_out"]["n"], run["more"]["n"])
        assert 0 <= accuracy.accuracy(run["more"]) <= 1
    taught = accuracy.trained("taught by residual, 0.7, easy pictures less often, as many steps", 1, 0)
    assert "more" not in taught  # its teacher has learnt from them
    assert before == dict(vars(accuracy.recipe_room))


# Label noise -------------------------------------------------------------------------------------------------------


def test_doubtful_labels_are_drawn_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pictures whose labels are the least likely are drawn, with others by chance, and nothing tells which they are."""
    noise = loaded("label_noise")
    monkeypatch.setattr(noise, "DOUBTFUL", 30)
    monkeypatch.setattr(noise, "OTHERS", 30)
    labels = np.arange(200) % 10
    said = np.full((200, 10), 0.01)
    said[np.arange(200), labels] = 0.91
    said[:30] = 0.01
    said[np.arange(30), (labels[:30] + 1) % 10] = 0.91
    asked = noise.questions(said, labels)
    assert set(range(30)) == {question.index for question in asked if question.doubtful}
    assert 60 == len({question.index for question in asked})
    assert all(labels[question.index] in (question.first, question.second) for question in asked)
    assert all(question.first != question.second for question in asked)
    places = [place for place, question in enumerate(asked) if question.doubtful]
    assert 20 < np.mean(places) < 40
    first = sum(question.first == labels[question.index] for question in asked)
    assert 15 < first < 45
    pictures = Images(torch.zeros(200, 1, 28, 28, dtype=torch.uint8), torch.from_numpy(labels))
    noise.draw(asked, pictures, tmp_path)
    assert 2 == len(list(tmp_path.glob("sheet-*.png")))


def test_verdicts_are_held_against_the_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A label that was seen is right, another or neither is wrong, and both cannot be told; an empty row is refused."""
    noise = loaded("label_noise")
    monkeypatch.setattr(noise, "VERDICTS", tmp_path / "seen.csv")
    head = "number,index,doubtful,first,second,seen\n"
    body = "".join(f"{row},{row},{row < 2},Coat,Bag,{seen}\n" for row, seen in enumerate(noise.SEEN))
    (tmp_path / "seen.csv").write_text(head + body)
    coat = np.full(4, LABELS.index("Coat"))
    assert ["right", "wrong", "cannot be told", "wrong"] == [verdict.label for verdict in noise.verdicts(coat)]
    assert [True, True, False, False] == [verdict.doubtful for verdict in noise.verdicts(coat)]
    (tmp_path / "seen.csv").write_text(head + "7,0,True,Coat,Bag,\n")
    with pytest.raises(SystemExit, match="7"):
        noise.verdicts(coat)


def test_the_committed_verdicts_are_whole() -> None:
    """Every picture of the committed table was looked at, once, and 200 of them were the doubtful ones."""
    noise = loaded("label_noise")
    looked = noise.verdicts(np.zeros(10_000, np.int64))
    assert (200, 100) == tuple(sum(verdict.doubtful == doubtful for verdict in looked) for doubtful in (True, False))
    assert 300 == len({verdict.index for verdict in looked})
