"""Count what the columns of a table say about its photos: which show one product, and which labels they have."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tagger.catalog.columns import LABEL_COLUMNS, normalised

PRODUCT_COLUMNS = (
    "item_group_id handle parent_sku parent group product_id product style_id style model_id article_id article sku id"
).split()
"""Usual names of a column whose value photos of one product share, the likeliest first."""

MAX_DISTINCT = 50_000
"""Rows after which a column without a repeated value is taken for one that names photos, not products."""


@dataclass(frozen=True)
class ColumnFacts:
    """What the columns of a table say."""

    product_column: str = ""
    """Column whose values repeat, so that its rows belong to one product; empty where no usual one does."""
    products: int = 0
    rows_with_product: int = 0
    most_rows: int = 0
    """Rows of the product with the most of them."""
    label_column: str = ""
    """Empty where no column has a usual name and a value."""
    labels: Mapping[str, int] = field(default_factory=dict)
    """Rows per label, the most frequent first."""


class ColumnCounter:
    """Counts the values of the columns that may name a product or a label, row by row."""

    def __init__(self, columns: Sequence[str]) -> None:
        named = {normalised(name): name for name in reversed(columns)}
        self._products = {column: Counter[int]() for name in PRODUCT_COLUMNS if (column := named.get(normalised(name)))}
        self._label = next((named[name] for name in LABEL_COLUMNS if name in named), "")
        self._labels: Counter[str] = Counter()

    def add(self, cells: Mapping[str, object]) -> None:
        """Count the cells of a row; empty ones count as no value."""
        for column, values in [*self._products.items()]:
            value = cells.get(column)
            if value in (None, ""):
                continue
            values[hash(str(value))] += 1  # of a million texts the hashes take a third of the memory
            if len(values) == MAX_DISTINCT == values.total():
                del self._products[column]
        if self._label and (label := cells.get(self._label)) not in (None, ""):
            self._labels[str(label)] += 1

    def facts(self) -> ColumnFacts:
        """Return what was counted; of the columns that may name a product the likeliest one whose values repeat."""
        column = next((name for name, values in self._products.items() if values.total() > len(values)), "")
        values = self._products.get(column, Counter[int]())
        label = self._label if self._labels else ""
        return ColumnFacts(
            column,
            len(values),
            values.total(),
            max(values.values(), default=0),
            label,
            dict(self._labels.most_common()) if label else {},
        )
