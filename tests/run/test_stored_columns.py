"""Cells of tables are read from other machines' ledgers as values, and nothing else is."""

import os
import pickle
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from tagger.errors import LedgerError
from tagger.run.stored_columns import plain_columns


class Harmful:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("true",)


class Reaching:
    """Reaches for an attribute when it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return getattr, (datetime, "now")


def test_values_of_tables_are_read() -> None:
    """Whatever cells of CSV, JSON and Parquet hold comes back as it is."""
    berlin = datetime(2026, 1, 1, tzinfo=ZoneInfo("Europe/Berlin"))
    values = ["text", b"bytes", 1, 2.5, None, True, [1, {"a": "b"}], date(2026, 1, 1), timedelta(1), Decimal("1.20"), berlin]
    values += [datetime(2026, 1, 1, tzinfo=timezone.utc), UUID(int=7)]
    columns = {f"column {number}": value for number, value in enumerate(values)}
    assert plain_columns(pickle.dumps(columns)) == columns


@pytest.mark.parametrize("stored", [{"a": Harmful()}, {"a": Reaching()}, {"a": os.path.join}, ["no row"]])
def test_anything_else_is_refused(stored: object) -> None:
    """A class that would run code is not even looked up."""
    with pytest.raises(LedgerError, match="A shard holds cells"):
        plain_columns(pickle.dumps(stored))


def test_damaged_cells_are_refused() -> None:
    """Bytes that are no pickle are one sentence, too."""
    with pytest.raises(LedgerError, match="run it again"):
        plain_columns(b"\x80\x05damaged")
