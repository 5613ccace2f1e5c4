"""What `fmtag run` and `fmtag merge` have in common is the same in both."""

import pytest

from tagger.cli.merge import merge
from tagger.cli.run import run

SHARED = ("out", "format_", "top_k", "excel", "ledger", "only", "report", "allow_vanished")


@pytest.mark.parametrize("name", SHARED)
def test_an_option_of_both_commands_is_one(name: str) -> None:
    """Its names, its type, its default and its help."""
    ours, theirs = ({one.name: one for one in command.params}[name].to_info_dict() for command in (run, merge))
    assert ours == theirs
