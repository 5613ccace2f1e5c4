"""Settings of an inspection."""

from tagger.catalog.settings import WITH_FETCHING
from tagger.cli.doctor import doctor
from tagger.inspection.settings import InspectionSettings


def test_defaults_are_those_of_the_command() -> None:
    """The library and the command line inspect alike."""
    settings = InspectionSettings("shop")
    defaults = {parameter.name: parameter.default for parameter in doctor.params}
    assert (settings.reading, settings.out, settings.workers, settings.sample) == (WITH_FETCHING, None, None, None)
    assert settings.seconds == defaults["seconds"]
