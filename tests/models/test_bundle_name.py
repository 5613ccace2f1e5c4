"""Names of new bundles: found by them on any system, and shown as they are."""

import pytest

from tagger.errors import BundleError
from tagger.models.bundle_name import LONGEST_NAME, check_name


@pytest.mark.parametrize("name", ["x", "my shop", "v1.2_x", "靴", "default2", "a-b", "x" * LONGEST_NAME])
def test_names_are_free_otherwise(name: str) -> None:
    """Letters of any script, digits, blanks within, dots and dashes are fine."""
    check_name(name)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "1 to 100 characters"),
        ("x" * (LONGEST_NAME + 1), "1 to 100 characters"),
        ("default", "default bundle"),
        ("-x", "begin with -"),
        (".x", r"begin with \."),
        ("a/b", "path separators"),
        ("a\\b", "path separators"),
        ("c:x", "path separators"),
        (" x", "blanks"),
        ("x ", "blanks"),
        ("a\nb", "control characters"),
        ("a\x1b[31m", "control characters"),
        ("a\udcff", "control characters"),
    ],
)
def test_other_names_are_refused_with_the_reason(name: str, reason: str) -> None:
    """The one sentence says what is wrong with the name."""
    with pytest.raises(BundleError, match=f"cannot be the name of a bundle, as .*{reason}") as caught:
        check_name(name)
    assert "\n" not in str(caught.value)
