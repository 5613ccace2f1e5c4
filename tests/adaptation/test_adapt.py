"""`fmtag adapt`, `pick` and bundles by name: real catalogs, real tables, the real command."""

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from helpers import Fmtag, draw_photo, write_photos

from tagger.catalog.label_table import read_label_table

CATALOG = 56
"""Photos of the catalog: enough to be learnt from without labels."""


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of good photos, each of another product."""
    return write_photos(tmp_path_factory.mktemp("catalog") / "photos", CATALOG, digits=3)


Adapt = Callable[..., CompletedProcess[str]]


@pytest.fixture
def adapt(fmtag: Fmtag, photo_bundle: Path, catalog: Path, tmp_path: Path) -> Adapt:
    """Run `fmtag adapt` on the catalog, beginning with the small bundle for photos, into a folder of bundles of its own."""

    def call(*arguments: str | Path, source: Path = catalog, start: str | Path = photo_bundle) -> CompletedProcess[str]:
        return fmtag("adapt", source, "--from", start, *arguments, FMTAG_MODELS=str(tmp_path / "models"))

    return call


def table(path: Path, rows: Iterable[Sequence[str]], header: Sequence[str] = ("path", "label")) -> Path:
    """Write a CSV and return its path."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def named(numbers: Iterable[int], label: Callable[[int], str]) -> list[tuple[str, str]]:
    """Return rows of the catalog's photos."""
    return [(f"{number:03d}.jpg", label(number)) for number in numbers]


def one_sentence(done: CompletedProcess[str]) -> str:
    """Return the error of a command that failed as it should: exit 1 and one line without a traceback."""
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


@pytest.mark.slow
def test_a_catalog_alone_makes_a_bundle_by_name(adapt: Adapt, fmtag: Fmtag, catalog: Path, tmp_path: Path) -> None:
    """The new bundle tags by its name, is listed with its parent, can be the default, and says on its card where it is from."""
    models = {"FMTAG_MODELS": str(tmp_path / "models")}
    done = adapt("--out", "mine")
    assert done.returncode == 0, done.stderr
    assert "0 labelled" in done.stderr
    out = tmp_path / "tags.csv"
    assert fmtag("run", catalog, "--out", out, "--model", "mine", **models).returncode == 0
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == CATALOG
    assert {row["model"].partition("@")[0] for row in rows} == {"mine"}
    card = json.loads(fmtag("models", "show", "mine", **models).stdout.partition("\n}\n")[0] + "\n}")
    assert card["parent"].startswith("shops@")
    assert len(card["data"]["parent/card.json"]) == 64
    assert fmtag("models", "default", "mine", **models).returncode == 0
    listed = fmtag("models", **models).stdout
    assert f"own, adapted from {card['parent']}, without labels  default" in listed
    assert fmtag("run", catalog, "--out", "-", FMTAG_RUN_MODEL="", **models).stdout.count("mine@") == CATALOG


@pytest.mark.slow
def test_the_same_files_make_the_same_bundle_and_a_new_label_another(adapt: Adapt, tmp_path: Path) -> None:
    """Whatever remembers results by the bundle's hash tags anew just when something was learnt anew."""
    rows = named(range(24), lambda number: "Trouser" if number % 2 else "Bag")
    labels = table(tmp_path / "labels.csv", rows)
    for name in ("first", "again"):
        assert adapt("--out", name, "--labels", labels, "--force").returncode == 0
    table(labels, [*rows, ("030.jpg", "Bag")])
    assert adapt("--out", "more", "--labels", labels, "--force").returncode == 0
    first, again, more = (
        {file.name for file in (tmp_path / "models" / name).glob("weights-*")} for name in ("first", "again", "more")
    )
    assert first == again
    assert first != more


@pytest.mark.slow
def test_what_was_gained_is_said_by_label(adapt: Adapt, tmp_path: Path) -> None:
    """Accuracy before and after has an interval and a row for each label, and too few photos are called so."""
    rows = named(range(20), lambda number: "Hose" if number % 2 else "Täschchen")
    done = adapt("--out", "mine", "--labels", table(tmp_path / "labels.csv", rows), "--other-labels", "drop")
    assert done.returncode == 0, done.stderr
    assert "Cross-validated over products" in done.stdout
    for label in ("all", "Hose", "Täschchen"):
        assert any(line.split()[0] == label and line.count("(") == 2 for line in done.stdout.splitlines() if line.strip())
    few = table(tmp_path / "few.csv", [*rows, *named(range(20, 23), lambda _: "Rock")])
    assert "Rock (3, 17 more)" in " ".join(
        adapt("--out", "few", "--labels", few, "--other-labels", "drop", "--force").stdout.split()
    )


@pytest.mark.slow
def test_foreign_labels_need_a_word_on_the_others(adapt: Adapt, fmtag: Fmtag, tmp_path: Path) -> None:
    """A table that names none of the bundle's labels is refused until it is said whether these stay."""
    labels = table(tmp_path / "labels.csv", named(range(20), lambda number: "Hose" if number % 2 else "Tasche"))
    assert "--other-labels" in one_sentence(adapt("--out", "mine", "--labels", labels))
    assert not (tmp_path / "models").exists()
    for choice, expected in (("keep", 12), ("drop", 2)):
        assert adapt("--out", choice, "--labels", labels, "--other-labels", choice, "--force").returncode == 0
        card = json.loads((tmp_path / "models" / choice / "card.json").read_text(encoding="utf-8"))
        assert len(card["labels"]) == expected
        assert any(name.startswith("shop/labels.csv") for name in card["data"])


@pytest.mark.slow
def test_odd_tables_lose_nothing_in_silence(adapt: Adapt, catalog: Path, tmp_path: Path) -> None:
    """Case variants, photos labelled twice, single photos and files that are not there are all named."""
    rows = [
        *named(range(20), lambda number: "Trouser" if number % 2 else "TROUSER"),
        *named(range(20, 40), lambda _: "Bag"),
        ("041.jpg", "Bag"),
        ("041.jpg", "Dress"),
        ("042.jpg", "Skirt"),
        ("043.jpg", ""),
        ("gone.jpg", "Bag"),
    ]
    done = adapt("--out", "mine", "--labels", table(tmp_path / "labels.csv", rows), "--force")
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "'TROUSER' as 'Trouser'" in said
    assert "two different labels" in said
    assert "041.jpg" in said
    assert "'Skirt': a single photo" in said
    assert "gone.jpg" in said
    assert "40 labelled" in done.stderr


@pytest.mark.slow
def test_a_corrected_output_of_a_run_teaches_what_was_confirmed(
    adapt: Adapt, fmtag: Fmtag, photo_bundle: Path, catalog: Path, tmp_path: Path
) -> None:
    """Rows that are flagged still, with the tag that the bundle gave, are nobody's word."""
    out = tmp_path / "tags.csv"
    fmtag("run", catalog, "--out", out, "--model", photo_bundle, "--min-confidence", "1")
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["low_confidence"] for row in rows} == {"true"}
    for row in rows[:20]:
        row["tag"] = "Trouser" if row["tag"] != "Trouser" else "Bag"
    table(out, [list(row.values()) for row in rows], list(rows[0]))
    done = adapt("--out", "mine", "--labels", out, "--force")
    assert done.returncode == 0, done.stderr
    assert "20 labelled" in done.stderr
    assert f"which nobody has confirmed, left out: {CATALOG - 20}." in " ".join(done.stdout.split())


@pytest.mark.slow
def test_a_folder_with_a_subfolder_a_class_teaches(adapt: Adapt, tmp_path: Path) -> None:
    """Labelled photos may lie outside the catalog, sorted into folders."""
    for number in range(24):
        folder = tmp_path / "sorted" / ("Trouser" if number % 2 else "Bag")
        folder.mkdir(parents=True, exist_ok=True)
        draw_photo(100 + number).save(folder / f"{number}.jpg")
    done = adapt("--out", "mine", "--labels", tmp_path / "sorted", "--force")
    assert done.returncode == 0, done.stderr
    assert f"{CATALOG + 24} photos, 24 labelled" in done.stderr


@pytest.mark.slow
def test_the_network_itself_may_learn(adapt: Adapt, tmp_path: Path) -> None:
    """With --deep the bundle's network is another one, and tags as any."""
    rows = named(range(30), lambda number: "Trouser" if number % 2 else "Bag")
    done = adapt("--out", "mine", "--labels", table(tmp_path / "labels.csv", rows), "--deep", "--force")
    assert done.returncode == 0, done.stderr
    card = json.loads((tmp_path / "models" / "mine" / "card.json").read_text(encoding="utf-8"))
    assert card["recipe"]["adapted"] == {"labels": True, "deep": True}


@pytest.mark.slow
def test_too_little_to_learn_from_is_refused(adapt: Adapt, photos: Callable[[int], Path], tmp_path: Path) -> None:
    """A few photos say nothing of a shop: nothing is written, unless insisted on."""
    few = photos(10)
    assert "too few photos with a product, 10:" in one_sentence(adapt("--out", "mine", source=few))
    assert not (tmp_path / "models").exists()
    assert adapt("--out", "mine", "--force", source=few).returncode == 0


@pytest.mark.slow
def test_what_cannot_be_is_said_in_one_sentence(adapt: Adapt, fmtag: Fmtag, tmp_path: Path) -> None:
    """Shipped names, bundles taught already, empty tables, a single label and unknown defaults."""
    assert "comes with fmtag" in one_sentence(adapt("--out", "catalog"))
    empty = table(tmp_path / "empty.csv", named(range(5), lambda _: ""))
    assert "labels no photo" in one_sentence(adapt("--out", "mine", "--labels", empty))
    single = table(tmp_path / "single.csv", named(range(5), lambda _: "Hose"))
    assert "One label alone" in one_sentence(adapt("--out", "mine", "--labels", single, "--other-labels", "drop"))
    assert adapt("--out", "mine").returncode == 0
    again = one_sentence(adapt("--out", "twice", start=tmp_path / "models" / "mine"))
    assert "taught by a shop already" in again
    unknown = one_sentence(fmtag("models", "default", "nobody", FMTAG_MODELS=str(tmp_path / "models")))
    assert "your own: mine" in unknown


@pytest.mark.slow
def test_picks_are_ready_to_be_filled_in(adapt: Adapt, fmtag: Fmtag, photo_bundle: Path, catalog: Path, tmp_path: Path) -> None:
    """The table names photos that are there, each once, with an empty label, and teaches once it is filled in."""
    out = tmp_path / "to-label.csv"
    done = fmtag("pick", catalog, "--count", "20", "--out", out, "--from", photo_bundle)
    assert done.returncode == 0, done.stderr
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert 10 <= len({row["path"] for row in rows}) == len(rows) <= 20
    assert all(Path(row["path"]).is_file() and row["label"] == "" for row in rows)
    for number, row in enumerate(rows):
        row["label"] = "Trouser" if number % 2 else "Bag"
    table(out, [list(row.values()) for row in rows], list(rows[0]))
    done = adapt("--out", "mine", "--labels", out, "--force")
    assert done.returncode == 0, done.stderr
    assert f"{len(rows)} labelled" in done.stderr


def test_labels_of_punctuation_alone_are_told_apart(catalog: Path, tmp_path: Path) -> None:
    """A photo labelled both + and ? has two labels, although nothing is left of either without punctuation."""
    rows = [("000.jpg", "+"), ("000.jpg", "?"), ("001.jpg", "+"), ("002.jpg", "?")]
    read = read_label_table(str(table(tmp_path / "labels.csv", rows)), str(catalog))
    assert sorted(row.label for row in read.photos.values()) == ["+", "?"]
    assert "000.jpg" in " ".join(read.said)


@pytest.mark.slow
def test_a_table_of_none_alone_is_learnt(adapt: Adapt, tmp_path: Path) -> None:
    """Rows labelled - alone give no accuracy of any label to compare, and still teach what is none of them."""
    labels = table(tmp_path / "labels.csv", named(range(12), lambda _: "-"))
    done = adapt("--out", "mine", "--labels", labels, "--other-labels", "keep")
    assert done.returncode == 0, done.stderr
    assert "12 labelled" in done.stderr
