"""Choose what is worth doing before the first run, the most valuable first."""

from collections.abc import Iterator, Mapping

from tagger.inspection.environment import Environment
from tagger.inspection.inspect import Inspection
from tagger.inspection.remedies import extras_in, install_command, is_address

MOST = 5
"""Sentences at most."""

SENTENCES: Mapping[str, tuple[str, str]] = {
    "address": (
        "{} row holds a web address: download the photo first, and put the path of the file in its place.",
        "{} rows hold web addresses: download the photos first, and put the paths of the files in their place.",
    ),
    "extra": ("{} photo cannot be read without {}: {}", "{} photos cannot be read without {}: {}"),
    "missing": (
        "{} photo is not where the source says ({}): copy it there, or mount the disk that it is on.",
        "{} photos are not where the source says (the first is {}): copy them there, or mount the disk that they are on.",
    ),
    "truncated": ("{} photo is cut off ({}): copy it again.", "{} photos are cut off (the first is {}): copy them again."),
    "unreadable": (
        "{} photo is damaged or of a kind that is not read ({}): copy or export it again.",
        "{} photos are damaged or of a kind that is not read (the first is {}): copy or export them again.",
    ),
    "too_large": ("{} photo is too large ({}): scale it down.", "{} photos are too large (the first is {}): scale them down."),
    "not_an_image": (
        "{} file holds no image, whatever its name says ({}): replace it by the photo.",
        "{} files hold no image, whatever their names say (the first is {}): replace them by the photos.",
    ),
    "bad_row": (
        "{} row cannot be used ({}): mend it, or export the table again.",
        "{} rows cannot be used (the first is {}): mend them, or export the table again.",
    ),
    "left_out": (
        "{} file that is left out holds a photo ({}): give its name the suffix of a photo.",
        "{} files that are left out hold photos (the first is {}): give their names the suffix of a photo.",
    ),
    "tiny": (
        "{} photo is smaller than 100 pixels ({}): take a larger one if there is any, as its tag is unsure.",
        "{} photos are smaller than 100 pixels (the first is {}): take larger ones if there are any, as such tags are unsure.",
    ),
}
"""Sentences about one and about several photos, with their number and details, by a reason of a failure or another subject."""

OTHER = ("{} photo fails as {about} ({}).", "{} photos fail as {about} (the first is {}).")

MIN_DISK = 1_000_000_000
"""Bytes of free disk below which a sentence says so."""


def advise(inspection: Inspection, environment: Environment) -> list[str]:
    """Return at most `MOST` sentences: what fails, by the number of photos, then what is left out, then what may be better."""
    failures = sorted(_failures(inspection), key=lambda one: -one[0])
    sentences = [sentence for _, sentence in failures]
    sentences += [*_left_out(inspection), *_improvements(inspection, environment)]
    return sentences[:MOST] or ["Nothing: every photo that was looked at can be read."]


def _failures(inspection: Inspection) -> Iterator[tuple[int, str]]:
    """Yield how many items a remedy helps, and the sentence."""
    if addresses := inspection.addresses:
        yield addresses, _sentence("address", addresses)
    needed: set[str] = set()
    needing, others = 0, dict[str, tuple[int, str]]()
    for (reason, cause), fault in inspection.faults.items():
        if extras := extras_in(cause):
            needed |= extras
            needing += fault.count
        elif not is_address(cause):
            count, first = others.get(reason, (0, fault.paths[0]))
            others[reason] = count + fault.count, first
    if needed:
        yield needing, _sentence("extra", needing, ", ".join(sorted(needed)), install_command(needed))
    for reason, (count, first) in others.items():
        yield count, _sentence(reason, count, first or "without a path")


def _left_out(inspection: Inspection) -> Iterator[str]:
    photos, pictures = inspection.left_out.photos, inspection.left_out.pictures
    if photos.count:
        yield _sentence("left_out", photos.count, photos.examples[0])
    if pictures:
        names = ", ".join(f"{count:,} {suffix}" for suffix, count in pictures.most_common(3))
        yield f"Pictures of kinds that are not read are left out ({names}): export them as JPEG or PNG."


def _improvements(inspection: Inspection, environment: Environment) -> Iterator[str]:
    if inspection.tiny:
        yield _sentence("tiny", len(inspection.tiny), inspection.tiny[0])
    if not environment.writable:
        yield "This folder may not be written: give --out a file elsewhere."
    if environment.free_disk is not None and environment.free_disk < MIN_DISK:
        yield f"Only {environment.free_disk // 1_000_000:,} MB are free on this disk: the output and its ledger need room."
    if not inspection.complete and inspection.settings.sample is None:
        yield "Not all photos were decoded in the time given: give more --seconds for a complete list of those that fail."
    if column := inspection.listing.column_facts.label_column:
        yield f"The column {column!r} looks like labels: fmtag evaluate measures the tags on them."


def _sentence(about: str, count: int, *details: str) -> str:
    one, many = SENTENCES.get(about, OTHER)
    return (one if count == 1 else many).format(f"{count:,}", *details, about=about)
