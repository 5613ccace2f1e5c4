"""The selection of rows by --only, and the statement that lists files."""

import pytest

from tagger.run.ledger import FILES_PER_INSERT
from tagger.run.ledger_queries import COUNT_ROWS, add_plain, selected
from tagger.run.settings import ONLY


def test_every_value_of_only_selects_something_else() -> None:
    """Each value has a condition of its own, several are joined by OR, and all rows are wanted where none is named."""
    queries = [selected(COUNT_ROWS, [value]) for value in ONLY]
    assert len(set(queries)) == len(ONLY)
    assert all(query.startswith(COUNT_ROWS) and query.endswith(" ORDER BY position") for query in queries)
    assert selected(COUNT_ROWS, ()) == f"{COUNT_ROWS} ORDER BY position"
    assert selected(COUNT_ROWS, ONLY).count(" OR ") == len(ONLY) - 1
    with pytest.raises(KeyError):
        selected(COUNT_ROWS, ["all"])


@pytest.mark.parametrize("rows", [1, 2, FILES_PER_INSERT])
def test_an_insert_has_a_place_for_every_value(rows: int) -> None:
    """A listed file has three values, and all of a statement stay below the 999 that old versions of SQLite take."""
    assert add_plain(rows).count("?") == 3 * rows <= 999
