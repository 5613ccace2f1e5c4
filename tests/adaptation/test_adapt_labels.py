"""`fmtag adapt`: catalogs, tables of labels and bundles by name, through the command."""

import csv
import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from adaptation_helpers import Command, Done, write_table
from adaptation_helpers import command as command  # a fixture that is used by its name
from helpers import draw_photo, write_photos

from tagger.adaptation import backbone, cross_validation
from tagger.adaptation.fit import DEFAULT_STRENGTH
from tagger.models import bundle

pytestmark = pytest.mark.usefixtures("one_thread")

CATALOG = 56
"""Photos of the catalog: enough for an adaptation without labels."""


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of good photos, each of another product."""
    return write_photos(tmp_path_factory.mktemp("catalog") / "photos", CATALOG, (90, 120), digits=3)


Adapt = Callable[..., Done]


@pytest.fixture
def adapt(command: Command, photo_bundle: Path, catalog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Adapt:
    """Run `fmtag adapt` on the catalog, from the small bundle for photos, into a folder of bundles of its own."""
    monkeypatch.setenv("FMTAG_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(cross_validation, "STRENGTHS", (DEFAULT_STRENGTH,))  # to choose among five takes five times as long
    monkeypatch.setattr(cross_validation, "FOLDS", 2)
    monkeypatch.setattr(backbone, "STEPS", 10)

    def call(*arguments: str | Path, source: Path = catalog, start: str | Path = photo_bundle) -> Done:
        return command("adapt", source, "--from", start, *arguments)

    return call


def named(numbers: Iterable[int], label: Callable[[int], str]) -> list[tuple[str, str]]:
    """Return rows of the catalog's photos."""
    return [(f"{number:03d}.jpg", label(number)) for number in numbers]


def test_a_catalog_alone_makes_a_bundle_by_name(adapt: Adapt, command: Command, catalog: Path, tmp_path: Path) -> None:
    """The new bundle tags by its name, is listed with its parent, can be the default, and its card tells where it is from."""
    done = adapt("--out", "mine")
    assert done.code == 0, done.err
    assert "0 labelled" in done.err
    out = tmp_path / "tags.csv"
    assert command("run", catalog, "--out", out, "--model", "mine").code == 0
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == CATALOG
    assert {row["model"].partition("@")[0] for row in rows} == {"mine"}
    card = json.loads(command("models", "show", "mine").out.partition("\n}\n")[0] + "\n}")
    assert card["parent"].startswith("shops@")
    assert len(card["data"]["parent/card.json"]) == 64
    assert command("models", "default", "mine").code == 0
    listed = command("models").out
    assert f"own, adapted from {card['parent']}, without labels  default" in listed
    assert command("run", catalog, "--out", "-").out.count("mine@") == CATALOG


@pytest.mark.slow
def test_the_same_files_make_the_same_bundle_and_a_new_label_another(adapt: Adapt, tmp_path: Path) -> None:
    """The hash of the bundle, by which a ledger knows results, changes exactly when the labels change."""
    rows = named(range(24), lambda number: "Trouser" if number % 2 else "Bag")
    labels = write_table(tmp_path / "labels.csv", rows)
    for name in ("first", "again"):
        assert adapt("--out", name, "--labels", labels, "--force").code == 0
    write_table(labels, [*rows, ("030.jpg", "Bag")])
    assert adapt("--out", "more", "--labels", labels, "--force").code == 0
    first, again, more = (
        {file.name for file in (tmp_path / "models" / name).glob("weights-*")} for name in ("first", "again", "more")
    )
    assert first == again
    assert first != more


def test_accuracy_is_printed_by_label(adapt: Adapt, tmp_path: Path) -> None:
    """Accuracy before and after has an interval and a row for each label, and labels with few photos are named."""
    rows = named(range(20), lambda number: "Hose" if number % 2 else "Täschchen")
    done = adapt("--out", "mine", "--labels", write_table(tmp_path / "labels.csv", rows), "--other-labels", "drop")
    assert done.code == 0, done.err
    assert "Cross-validated over products" in done.out
    for label in ("all", "Hose", "Täschchen"):
        assert any(line.split()[0] == label and line.count("(") == 2 for line in done.out.splitlines() if line.strip())
    few = write_table(tmp_path / "few.csv", [*rows, *named(range(20, 23), lambda _: "Rock")])
    assert "Rock (3, 17 more)" in adapt("--out", "few", "--labels", few, "--other-labels", "drop", "--force").text


def test_foreign_labels_need_other_labels(adapt: Adapt, command: Command, tmp_path: Path) -> None:
    """A table that names none of the bundle's labels is refused without --other-labels, which keeps or drops these."""
    labels = write_table(tmp_path / "labels.csv", named(range(20), lambda number: "Hose" if number % 2 else "Tasche"))
    assert "--other-labels" in adapt("--out", "mine", "--labels", labels).refusal
    assert not (tmp_path / "models").exists()
    for choice, expected in (("keep", 12), ("drop", 2)):
        assert adapt("--out", choice, "--labels", labels, "--other-labels", choice, "--force").code == 0
        card = json.loads((tmp_path / "models" / choice / "card.json").read_text(encoding="utf-8"))
        assert len(card["labels"]) == expected
        assert any(name.startswith("shop/labels.csv") for name in card["data"])


def test_every_unusual_row_is_noted(adapt: Adapt, catalog: Path, tmp_path: Path) -> None:
    """Case variants, photos labelled twice, single photos and missing files are all named."""
    rows = [
        *named(range(20), lambda number: "Trouser" if number % 2 else "TROUSER"),
        *named(range(20, 40), lambda _: "Bag"),
        ("041.jpg", "Bag"),
        ("041.jpg", "Dress"),
        ("042.jpg", "Skirt"),
        ("043.jpg", ""),
        ("gone.jpg", "Bag"),
    ]
    done = adapt("--out", "mine", "--labels", write_table(tmp_path / "labels.csv", rows), "--force")
    assert done.code == 0, done.err
    notes = done.text
    assert "'TROUSER' as 'Trouser'" in notes
    assert "two different labels" in notes
    assert "041.jpg" in notes
    assert "'Skirt': a single photo" in notes
    assert "gone.jpg" in notes
    assert "40 labelled" in done.err


def test_a_corrected_output_of_a_run_is_used_where_confirmed(
    adapt: Adapt, command: Command, photo_bundle: Path, catalog: Path, tmp_path: Path
) -> None:
    """Rows that are still flagged, with the bundle's own tag, are left out."""
    out = tmp_path / "tags.csv"
    command("run", catalog, "--out", out, "--model", photo_bundle, "--min-confidence", "1")
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["low_confidence"] for row in rows} == {"true"}
    for row in rows[:20]:
        row["tag"] = "Trouser" if row["tag"] != "Trouser" else "Bag"
    write_table(out, [list(row.values()) for row in rows], list(rows[0]))
    done = adapt("--out", "mine", "--labels", out, "--force")
    assert done.code == 0, done.err
    assert "20 labelled" in done.err
    assert f"Rows still flagged with the bundle's own tag, unconfirmed, left out: {CATALOG - 20}." in done.text


def test_a_folder_with_one_subfolder_per_class_gives_labels(adapt: Adapt, tmp_path: Path) -> None:
    """Labelled photos may lie outside the catalog, sorted into folders."""
    for number in range(24):
        folder = tmp_path / "sorted" / ("Trouser" if number % 2 else "Bag")
        folder.mkdir(parents=True, exist_ok=True)
        draw_photo(100 + number).save(folder / f"{number}.jpg")
    done = adapt("--out", "mine", "--labels", tmp_path / "sorted", "--force")
    assert done.code == 0, done.err
    assert f"{CATALOG + 24} photos, 24 labelled" in done.err


@pytest.mark.slow
def test_deep_adaptation_fine_tunes_the_network(adapt: Adapt, tmp_path: Path) -> None:
    """With --deep the card records it, and the bundle loads."""
    rows = named(range(30), lambda number: "Trouser" if number % 2 else "Bag")
    done = adapt("--out", "mine", "--labels", write_table(tmp_path / "labels.csv", rows), "--deep", "--force")
    assert done.code == 0, done.err
    card = json.loads((tmp_path / "models" / "mine" / "card.json").read_text(encoding="utf-8"))
    assert card["recipe"]["adapted"] == {"labels": True, "deep": True}
    assert bundle.load(str(tmp_path / "models" / "mine")).model in done.err


def test_a_catalog_that_is_too_small_is_refused(adapt: Adapt, photos: Callable[[int], Path], tmp_path: Path) -> None:
    """Without labels fewer than 50 photos are refused, and nothing is written, unless forced."""
    few = photos(10)
    assert "too few photos with a product, 10:" in adapt("--out", "mine", source=few).refusal
    assert not (tmp_path / "models").exists()
    assert adapt("--out", "mine", "--force", source=few).code == 0


def test_contradictory_requests_are_refused(adapt: Adapt, command: Command, tmp_path: Path) -> None:
    """Shipped names, bundles that are adapted already, empty tables, a single label and unknown defaults give one sentence."""
    assert "comes with fmtag" in adapt("--out", "catalog").refusal
    empty = write_table(tmp_path / "empty.csv", named(range(5), lambda _: ""))
    assert "labels no photo" in adapt("--out", "mine", "--labels", empty).refusal
    single = write_table(tmp_path / "single.csv", named(range(5), lambda _: "Hose"))
    assert "One label alone" in adapt("--out", "mine", "--labels", single, "--other-labels", "drop").refusal
    assert adapt("--out", "mine").code == 0
    again = adapt("--out", "twice", start=tmp_path / "models" / "mine").refusal
    assert "adapted to a shop already" in again
    unknown = command("models", "default", "nobody").refusal
    assert "your own: mine" in unknown


def test_a_table_of_none_alone_is_used(adapt: Adapt, tmp_path: Path) -> None:
    """Rows that are all labelled `-` give no accuracy to compare, and are used all the same."""
    labels = write_table(tmp_path / "labels.csv", named(range(12), lambda _: "-"))
    done = adapt("--out", "mine", "--labels", labels, "--other-labels", "keep")
    assert done.code == 0, done.err
    assert "12 labelled" in done.err
