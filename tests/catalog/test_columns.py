"""The image and the label column of a table are found by their names, or the error names the columns and the option."""

from itertools import pairwise
from pathlib import Path

import pyarrow
import pytest
from catalog_helpers import each_table, items, write_table
from pyarrow import parquet

from tagger.catalog.columns import (
    IMAGE_COLUMNS,
    LABEL_COLUMNS,
    ImageColumns,
    given_column,
    label_column,
    normalised,
    numbered_image_columns,
    unique_names,
    usual_image_column,
)
from tagger.catalog.source import open_source
from tagger.errors import SourceError


@each_table
@pytest.mark.parametrize("name", ["image", "image_path", "path", "file", "filename", "Image Src", "Image_Path", "FILE NAME"])
def test_image_column_is_found_by_its_name(tmp_path: Path, suffix: str, name: str) -> None:
    """Case, spaces and underscores of the usual names do not matter, nor where the column stands."""
    table = write_table(tmp_path / f"t{suffix}", ["sku", name, "text"], [["1", "a.jpg", "x"], ["2", "b.jpg", "y"]])
    assert [item.path for item in items(table)] == ["a.jpg", "b.jpg"]


@each_table
def test_image_column_may_be_given(tmp_path: Path, suffix: str) -> None:
    """A given column wins over one of a usual name; one that does not exist is an error."""
    table = write_table(tmp_path / f"t{suffix}", ["path", "Bild 2"], [["a.jpg", "b.jpg"]])
    assert [item.path for item in items(table, "Bild 2")] == ["b.jpg"]
    with pytest.raises(SourceError, match=r"no column 'Bild 3'; its columns are: path, Bild 2\."):
        items(table, "Bild 3")


@each_table
def test_a_table_without_image_column_names_its_columns(tmp_path: Path, suffix: str) -> None:
    """The error names the columns of the table and the option that helps."""
    table = write_table(tmp_path / f"t{suffix}", ["sku", "colour"], [["1", "red"]])
    with pytest.raises(SourceError, match=r"its columns are: sku, colour\. Name one with --image-column") as caught:
        open_source(str(table))
    assert "\n" not in str(caught.value)


def test_duplicate_parquet_columns_are_refused(tmp_path: Path) -> None:
    """Parquet files too may have two columns of one name."""
    texts = pyarrow.array(["a.jpg"])
    parquet.write_table(pyarrow.Table.from_arrays([texts, texts], names=["path", "path"]), tmp_path / "t.parquet")
    with pytest.raises(SourceError, match="more than one column named 'path'"):
        open_source(str(tmp_path / "t.parquet"))


def test_label_column_is_found_by_its_name() -> None:
    """The label column has a usual name or the given one; the error names the columns."""
    assert label_column(["sku", "Label", "path"]) == "Label"
    assert label_column(["path", "label", "truth"], "truth") == "truth"
    with pytest.raises(SourceError, match=r"label column .* its columns are: path, sku\. Name one with --label-column"):
        label_column(["path", "sku"])
    with pytest.raises(SourceError, match=r"^t\.csv has no label column"):
        label_column(["path", "sku"], table="t.csv")


@pytest.mark.parametrize("names", [IMAGE_COLUMNS, LABEL_COLUMNS])
def test_the_likeliest_column_wins(names: list[str]) -> None:
    """Where several columns have usual names, the first one of the list is taken, wherever it stands in the table."""
    for likely, unlikely in pairwise(names):
        if normalised(likely) == normalised(unlikely):
            continue
        if names is IMAGE_COLUMNS:
            assert usual_image_column([unlikely, likely]) == likely
        else:
            assert label_column([unlikely, likely]) == likely


def test_of_names_that_are_alike_the_first_column_is_taken() -> None:
    """`Image` and `image ` are one usual name; the table's order decides."""
    assert usual_image_column(["sku", "Image", "image "]) == "Image"
    assert usual_image_column(["sku", "colour"]) is None


def test_a_column_may_be_given_in_another_spelling() -> None:
    """The exact name wins; otherwise case and punctuation do not matter where only one column is alike."""
    assert given_column(["Bild", "bild"], "bild") == "bild"
    assert given_column(["sku", " Bild 2"], "bild_2") == " Bild 2"
    assert given_column(["Bild", "BILD"], "bild") is None
    assert given_column(["sku", "---"], "...") is None


def test_names_become_unique_and_clean() -> None:
    """Blanks and marks around a name go, a further column of a name gets a number, one without a name its place."""
    assert unique_names([" sku", "\ufeffimage ", "a", "a", "a.2", "a"]) == ["sku", "image", "a", "a.3", "a.2", "a.4"]
    assert unique_names(["", "image", "", " "]) == ["", "image", "column_3", "column_4"]


def test_numbered_columns_are_in_the_order_of_their_numbers() -> None:
    """`image_10` comes after `image_2`, in whatever place; a number in another name makes no image column."""
    names = ["sku 1", "Image 10 URL", "image_2", "Bild 1", "image 1x1"]
    assert numbered_image_columns(names) == ["Bild 1", "image_2", "Image 10 URL"]


def test_a_row_has_its_images_in_order() -> None:
    """The main column comes first; cells that mean no image are empty, values of other types stay."""
    columns = ImageColumns("b", ("a", "c"), no_image=frozenset({"no_selection"}))
    assert columns.images({"a": " no_selection ", "b": "x.jpg", "c": ["y.jpg"], "d": "z"}) == ["x.jpg", "", ["y.jpg"]]


@pytest.mark.parametrize("name", ["T-shirt/top", "t shirt top", "T_SHIRT.TOP", "tshirttop"])
def test_case_spaces_and_punctuation_do_not_matter(name: str) -> None:
    """Spellings of one name are compared by their letters and digits."""
    assert normalised(name) == "tshirttop"
    assert normalised("Größe 茶") == "grösse茶"
