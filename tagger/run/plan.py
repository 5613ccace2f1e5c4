"""Hold what a run, or a merge of runs, has settled before its first stage, and what it calls on events."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from tagger.catalog.rows import tag_cells
from tagger.inference import decision
from tagger.models import card
from tagger.records import Failed, Result, Tag
from tagger.run.engine import Engine
from tagger.run.ledger_values import Cells
from tagger.run.settings import RunSettings
from tagger.run.summary import RunSummary
from tagger.settings import Format


@dataclass(frozen=True)
class RunCallbacks:
    """Functions that `run` calls on events, and contexts in which it must not be interrupted."""

    ignored: Callable[[str, str], None] = lambda path, why: None
    """Called with each entry of the source that is not a photo, and why."""
    started: Callable[[RunSummary], None] = lambda summary: None
    """Called once all inputs and outputs are open."""
    warned: Callable[[str], None] = lambda sentence: None
    noted: Callable[[str], None] = lambda sentence: None
    """Called with what a user should know of the source, and what needs no action."""
    scored: Callable[[int, int], None] = lambda done, total: None
    """Called after each batch with the numbers of files read and of files to read."""
    failed: Callable[[Failed], None] = lambda failure: None
    """Called with each photo that could not be read."""
    defer: Callable[[], AbstractContextManager[None]] = nullcontext
    """Defers signals to the end of the block, a batch."""
    ignore: Callable[[], AbstractContextManager[None]] = nullcontext
    """Ignores signals during the block, the replacement of the output, after which the run is done."""


@dataclass(frozen=True)
class RunPlan:
    """A validated run: its settings resolved, its bundle found."""

    settings: RunSettings
    format: Format
    stored: card.StoredCard
    min_confidence: float
    names: Mapping[str, str]
    """Names of labels in the output, by label."""
    callbacks: RunCallbacks
    summary: RunSummary
    engine: Engine | None = None
    """Reads and scores the photos; None does that here."""

    def tags_of(self, results: Sequence[Result]) -> list[Tag]:
        """Decide the tags of results."""
        labels, groups = self.stored.card.labels, self.stored.card.groups
        tags = decision.decide_results(results, labels, groups, self.min_confidence)
        return [decision.rename_labels(tag, self.names) for tag in tags] if self.names else tags

    def cells_of(self, results: Sequence[Result]) -> list[Cells]:
        """Return the text of the rows of results."""
        return [Cells(*tag_cells(tag)) for tag in self.tags_of(results)]

    def note_matched_addresses(self) -> None:
        """Tell how many addresses were taken for a file by its name, if any."""
        if matched := self.summary.matched_addresses:
            self.callbacks.noted(f"Addresses that mean a file beside the table, by the end of their names: {matched:,}.")
