"""The advice names what helps most photos first, in a few sentences."""

from pathlib import Path

import pytest

from tagger.inspection.advice import MOST, SENTENCES, advise
from tagger.inspection.environment import describe_environment
from tagger.inspection.inspect import Fault, Inspection
from tagger.inspection.left_out import LeftOut
from tagger.inspection.listing import Listing, Noted
from tagger.inspection.settings import InspectionSettings
from tagger.inspection.table_columns import ColumnFacts
from tagger.records import FAILED_REASONS

ENVIRONMENT = describe_environment()._replace(free_disk=10**12, writable=True)

ADDRESS = ("bad_row", "an address, not a file; download the photos first")


def inspection(faults: dict[tuple[str, str], int] | None = None, **values: object) -> Inspection:
    """Return an inspection of a table with so many failures per reason and cause."""
    named = {key: Fault(count, ["first.jpg"]) for key, count in (faults or {}).items()}
    found = Inspection(InspectionSettings("t.csv"), Listing("table", Path(), ("image",)), faults=named)
    for name, value in values.items():
        setattr(found, name, value)
    return found


def test_nothing_to_do() -> None:
    """One sentence says so."""
    assert advise(inspection(), ENVIRONMENT) == ["Nothing: every photo that was looked at can be read."]


def test_the_most_frequent_failure_comes_first() -> None:
    """Addresses are a subject of their own; causes of one reason are one sentence."""
    faults = {("truncated", "a"): 2, ("truncated", "b"): 2, ADDRESS: 312, ("missing", "no such file"): 3, ("bad_row", "x"): 1}
    said = advise(inspection(faults), ENVIRONMENT)
    assert [sentence.split(":")[0] for sentence in said] == [
        "312 rows hold web addresses",
        "4 photos are cut off (the first is first.jpg)",
        "3 photos are not where the source says (the first is first.jpg)",
        "1 row cannot be used (first.jpg)",
    ]


def test_a_missing_extra_is_a_command() -> None:
    """What can be installed is told once, however many causes name it."""
    faults = {("unreadable", "a HEIC photo; install fmtag[heif] to read it"): 7}
    assert advise(inspection(faults), ENVIRONMENT) == ["7 photos cannot be read without fmtag[heif]: pip install 'fmtag[heif]'"]


def test_sentences_are_few() -> None:
    """The least important ones are dropped."""
    faults = {(reason, "x"): 1 for reason in FAILED_REASONS}
    assert len(advise(inspection(faults, tiny=["a"]), ENVIRONMENT)) == MOST


def test_what_is_left_out_and_what_may_be_better() -> None:
    """Photos without a suffix, pictures of other kinds, tiny photos, labels, and the machine."""
    left_out = LeftOut(photos=Noted(2, ["shirt"]))
    left_out.pictures[".psd"] = 3
    found = inspection(left_out=left_out, tiny=["t.png"])
    found.listing.column_facts = ColumnFacts(label_column="category", labels={"Bag": 1})
    said = " ".join(advise(found, ENVIRONMENT._replace(writable=False)))
    for part in ("2 files that are left out hold photos", "3 .psd", "1 photo is smaller", "may not be written", "'category'"):
        assert part in said
    low = advise(inspection(), ENVIRONMENT._replace(free_disk=5_000_000))
    assert low == ["Only 5 MB are free on this disk: the output and its ledger need room."]


@pytest.mark.parametrize("reason", FAILED_REASONS)
def test_every_reason_has_a_sentence(reason: str) -> None:
    """But for that of rows without an image, which are no failures."""
    assert reason in SENTENCES or reason == "no_image"
