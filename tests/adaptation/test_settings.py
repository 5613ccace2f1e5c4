"""The settings of `fmtag adapt` and `fmtag pick`."""

from tagger.adaptation.settings import OTHER_LABELS, AdaptSettings
from tagger.settings import DEFAULT_MODEL


def test_defaults_adapt_the_default_bundle_with_care() -> None:
    """Without options nothing is forced, the backbone stays, and labels that a table does not name are left to the table."""
    settings = AdaptSettings("catalog", "mine")
    assert (settings.start, settings.device) == (DEFAULT_MODEL, "auto")
    assert (settings.force, settings.deep) == (False, False)
    assert settings.labels is settings.other_labels is settings.workers is None
    assert OTHER_LABELS == ("keep", "drop")
