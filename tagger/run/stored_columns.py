"""Read the table cells that the ledger of another machine has: values only, as an unpickled class could run any code."""

import io
import pickle
from collections.abc import Callable, Mapping
from typing import Any

from tagger.errors import LedgerError

VALUES = {
    ("datetime", "date"),
    ("datetime", "datetime"),
    ("datetime", "time"),
    ("datetime", "timedelta"),
    ("datetime", "timezone"),
    ("decimal", "Decimal"),
    ("pandas._libs.tslibs.nattype", "_nat_unpickle"),
    ("pandas._libs.tslibs.timedeltas", "_timedelta_unpickle"),
    ("pandas._libs.tslibs.timestamps", "_unpickle_timestamp"),
    ("uuid", "UUID"),
    ("zoneinfo", "ZoneInfo"),
}
"""Module and name of what the cells of tables are pickled with, apart from what needs no name: numbers, text, bytes, lists."""


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Return a class of a cell's value; raises `UnpicklingError` for any other."""
        if (module, name) == ("builtins", "getattr"):
            return _time_zone  # the only use that a time zone makes of it
        if (module, name) not in VALUES:
            raise pickle.UnpicklingError(f"{module}.{name}")
        return super().find_class(module, name)


def _time_zone(owner: Any, name: str) -> Callable[..., Any]:
    from zoneinfo import ZoneInfo

    if owner is not ZoneInfo or name != "_unpickle":
        raise pickle.UnpicklingError(f"an attribute of {owner}")
    return getattr(owner, name)  # type: ignore[no-any-return]


def plain_columns(stored: bytes) -> Mapping[str, object]:
    """Return the cells of a table's row as a shard has stored them; raises `LedgerError` for what is not plain values."""
    try:
        columns = _PlainUnpickler(io.BytesIO(stored)).load()
        if isinstance(columns, dict):
            return columns
    except Exception as error:  # a damaged pickle may raise anything
        raise LedgerError(f"A shard holds cells that are no values of a table ({error}); run it again.") from error
    raise LedgerError("A shard holds cells that are no row of a table; run it again.")
