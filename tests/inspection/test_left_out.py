"""Pictures among what is left out are told from other files."""

from tagger.catalog.content import CAMERA_RAW, LEFTOVER, NOT_A_PHOTO, PHOTOSHOP
from tagger.catalog.selection import HIDDEN
from tagger.inspection.left_out import pictures_left_out


def test_pictures_are_told_by_reason_and_suffix() -> None:
    """What a pattern or a hidden name leaves out was meant to be."""
    ignored = [
        ("a.nef", CAMERA_RAW),
        ("b.psd", PHOTOSHOP),
        ("c.jpg.bak", LEFTOVER),
        ("d.SVG", NOT_A_PHOTO),
        ("more/e.svg", NOT_A_PHOTO),
        ("notes.txt", NOT_A_PHOTO),
        (".f.svg", HIDDEN),
        ("g.svg", "excluded by *.svg"),
    ]
    found = pictures_left_out(ignored)
    assert {kind: noted.count for kind, noted in found.items()} == {CAMERA_RAW: 1, PHOTOSHOP: 1, LEFTOVER: 1, ".svg": 2}
    assert found[".svg"].examples == ["d.SVG", "more/e.svg"]
    assert pictures_left_out([]) == {}
