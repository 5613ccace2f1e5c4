"""Promises of `tagger.catalog.settings`."""

from dataclasses import fields

from tagger.catalog.settings import SourceSettings
from tagger.cli.evaluate import evaluate
from tagger.cli.run import run


def test_every_setting_of_a_source_is_an_option_of_each_command_that_reads_one() -> None:
    """What `fmtag run` is told about its source, `fmtag evaluate` can be told too."""
    names = {field.name for field in fields(SourceSettings)} - {"fetch"}  # which the command itself decides
    for command in (run, evaluate):
        assert names <= {parameter.name for parameter in command.params}
