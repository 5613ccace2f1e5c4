"""Hold the SQL of the ledger; the tables are in `migrations`.

Named parameters are those of `Ledger.begin`: `:run`, `:first_run` (the first of the unfinished runs that this one continues),
`:model`, `:eyes`, `:decision`, `:scored_since` and `:read_since` (runs from which results and file times count),
`:allow_truncated`, `:decoding` (the limits of what is decoded) and `:give_up`.
"""

from collections.abc import Sequence
from functools import cache

# Begin a run -------------------------------------------------------------------------------------------------------

RETIRE_MODEL = "UPDATE models SET fingerprint = fingerprint || '#' || id WHERE fingerprint = ? AND eyes != ?"
"""For a bundle that an earlier fmtag had other eyes for, so that its results and embeddings are not taken for this one's."""
ADD_MODEL = "INSERT OR IGNORE INTO models (fingerprint, name, labels, eyes) VALUES (?, ?, ?, ?)"
MODEL_ID = "SELECT id FROM models WHERE fingerprint = ?"

ADD_DECISION = "INSERT OR IGNORE INTO decisions (model, min_confidence, names) VALUES (?, ?, ?)"
DECISION_ID = "SELECT id FROM decisions WHERE model = ? AND min_confidence = ? AND names = ?"

RUNS = "SELECT id, finished, fresh, verify FROM runs ORDER BY id DESC"
LAST_RUN = "SELECT source, out FROM runs ORDER BY finished IS NULL, id DESC LIMIT 1"
"""The last finished one; while there is none, the last that was begun."""
ADD_RUN = """
    INSERT INTO runs (started, pid, host, version, source, out, root, decision, fresh, verify, decoding)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
FINISH_RUN = "UPDATE runs SET finished = ? WHERE id = ?"

# List its files ----------------------------------------------------------------------------------------------------

ADD_LISTED = """
    INSERT INTO listing (key, size, mtime_ns, left_out, failure, detail, columns, place, signature)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

ADD_LISTED_AT = """
    INSERT INTO listing (position, key, size, mtime_ns, left_out, failure, detail, columns, place, signature)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
"""Of a shard, whose items keep their positions in the whole source."""


@cache
def add_plain(rows: int) -> str:
    """Return the statement that inserts that many files, three values each, of which nothing but path, size and time is known.

    One statement for many rows takes a fifth of the time; to find their items here costs half of what `FIND_ITEMS` does.
    """
    values = ", ".join(["(?, ?, ?)"] * rows)
    return f"""
        INSERT INTO listing (key, size, mtime_ns, left_out, item)
        SELECT column1, column2, column3, 0, id FROM (VALUES {values}) LEFT JOIN items ON items.key = column1
    """


FIND_ITEMS = """
    UPDATE listing SET item = (SELECT id FROM items WHERE items.key = listing.key) WHERE item IS NULL AND failure IS NULL
"""

FIND_UNSCORED = """
    INSERT INTO unscored
    SELECT min(position) FROM listing LEFT JOIN items ON items.id = item LEFT JOIN contents ON contents.id = content
    WHERE listing.failure IS NULL AND NOT left_out AND NOT coalesce(
        items.size IS listing.size AND items.mtime_ns IS listing.mtime_ns AND items.run >= :read_since
        AND CASE WHEN items.failure IS NULL
            THEN model = :model AND contents.run >= :scored_since AND truncated <= :allow_truncated
            ELSE tries - (items.run >= :first_run) >= :give_up
                AND NOT (items.failure IN ('truncated', 'unreadable') AND :allow_truncated)
                AND (SELECT decoding FROM runs WHERE id = items.run) IS :decoding
        END, 0)
    GROUP BY listing.key
"""

# Score what is known by its embedding --------------------------------------------------------------------------------

_OF_SAME_EYES = "IN (SELECT id FROM models WHERE eyes = :eyes)"

HAS_OTHERS = "SELECT 1 FROM models WHERE id != :model"
"""Also a bundle without a backbone: after it, this bundle's own embeddings may be there from a run before."""

_OUTDATED = "model != :model AND truncated <= :allow_truncated"

# CROSS keeps the few unscored files, and contents, in the outer loop, where the planner would scan the whole listing.
FIND_OUTDATED = f"""
    INSERT INTO outdated
    SELECT DISTINCT content FROM unscored CROSS JOIN listing USING (position) CROSS JOIN items ON items.id = item
    CROSS JOIN contents ON contents.id = content WHERE {_OUTDATED}
"""

MAY_BE_MOVED = """
    SELECT 1 FROM unscored CROSS JOIN listing USING (position) WHERE item IS NULL AND :model != (
        SELECT model FROM runs JOIN decisions ON decisions.id = decision WHERE finished IS NOT NULL
        ORDER BY runs.id DESC LIMIT 1
    ) LIMIT 1
"""
"""Whether paths are new in the first run after one of another bundle, so that bytes of vanished paths may be found at them."""

FIND_OUTDATED_OF_VANISHED = f"""
    INSERT OR IGNORE INTO outdated
    SELECT content FROM items JOIN contents ON contents.id = content
    WHERE {_OUTDATED} AND published IS NOT NULL AND items.id NOT IN (SELECT item FROM listing WHERE item IS NOT NULL)
"""

REASSIGN_WITHOUT_PRODUCT = f"""
    UPDATE contents SET model = :model, run = :run
    WHERE id IN (SELECT content FROM outdated) AND probabilities IS NULL AND model {_OF_SAME_EYES} AND run >= :scored_since
"""

_EMBEDDED = f"""
    FROM outdated CROSS JOIN embeddings USING (content)
    WHERE embeddings.model {_OF_SAME_EYES} AND embeddings.run >= :scored_since
"""
COUNT_EMBEDDED = f"SELECT count(*) {_EMBEDDED}"
EMBEDDED_BATCH = f"SELECT content, embedding {_EMBEDDED} AND content > :last ORDER BY content LIMIT :count"

RESCORE = "UPDATE contents SET model = ?, run = ?, probabilities = ? WHERE id = ?"

FORGET_UNSCORED = "DELETE FROM unscored"

# Score them --------------------------------------------------------------------------------------------------------

UNSCORED_BATCH = """
    SELECT position, listing.key, listing.size, listing.mtime_ns, CASE
        WHEN items.failure IS NOT NULL AND items.size IS listing.size AND items.mtime_ns IS listing.mtime_ns
        THEN tries - (items.run >= :first_run) ELSE 0 END, listing.detail, listing.place, listing.signature
    FROM unscored JOIN listing USING (position) LEFT JOIN items ON items.id = item
    WHERE position > :last ORDER BY position LIMIT :count
"""

HAS_RESULT = "SELECT 1 FROM contents WHERE sha256 = ? AND model = ? AND run >= ? AND truncated <= ?"

STORE_RESULT = """
    INSERT INTO contents (sha256, model, run, truncated, probabilities) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (sha256) DO UPDATE SET
        model = excluded.model, run = excluded.run, truncated = excluded.truncated, probabilities = excluded.probabilities
"""
STORE_EMBEDDING = "INSERT OR REPLACE INTO embeddings VALUES (?, ?, ?, ?)"
CONTENT_ID = "SELECT id FROM contents WHERE sha256 = ?"

STORE_ITEM = """
    INSERT INTO items (key, size, mtime_ns, content, failure, detail, tries, run) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (key) DO UPDATE SET
        size = excluded.size, mtime_ns = excluded.mtime_ns, content = excluded.content, failure = excluded.failure,
        detail = excluded.detail, tries = excluded.tries, run = excluded.run, decision = NULL
"""

# Make the rows -----------------------------------------------------------------------------------------------------

FIND_UNDECIDED = """
    INSERT OR IGNORE INTO undecided
    SELECT item FROM listing JOIN items ON items.id = item
    WHERE NOT left_out AND (published IS NULL OR decision IS NOT :decision)
"""

_REVIEWED = "(SELECT label FROM reviews WHERE reviews.id = review)"
"""The label that a person decided on; NULL without a decision."""

UNDECIDED_BATCH = f"""
    SELECT item, failure, detail, truncated, probabilities, {_REVIEWED},
           published, tag, confidence, low_confidence, reason, group_, group_confidence
    FROM undecided JOIN items ON items.id = item LEFT JOIN contents ON contents.id = content
    WHERE item > ? ORDER BY item LIMIT ?
"""

STORE_ROW = """
    UPDATE items SET tag = ?, confidence = ?, low_confidence = ?, reason = ?, group_ = ?, group_confidence = ?,
        decision = ?, published = ?
    WHERE id = ?
"""

ADD_EVENT = "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"

ADD_VANISHED = """
    INSERT INTO events SELECT :run, id, 'vanished', NULL, NULL, NULL, tag, low_confidence, reason FROM items
    WHERE published IS NOT NULL AND id NOT IN (SELECT item FROM listing WHERE item IS NOT NULL)
"""

UNPUBLISH_VANISHED = """
    UPDATE items SET published = NULL, decision = NULL
    WHERE id IN (SELECT item FROM events WHERE run = :run AND change = 'vanished')
"""

STORE_PLACES = """
    INSERT OR REPLACE INTO places SELECT item, listing.place FROM listing LEFT JOIN places USING (item)
    WHERE listing.place IS NOT NULL AND item IS NOT NULL AND places.place IS NOT listing.place
"""
HAS_PLACES = "SELECT 1 FROM places LIMIT 1"
FORGET_PLACES = "DELETE FROM places WHERE item IN (SELECT item FROM listing WHERE place IS NULL)"

FIND_ORIGINALS = """
    INSERT INTO originals SELECT content, key FROM (
        SELECT content, listing.key, min(position) FROM listing JOIN items ON items.id = item
        WHERE NOT left_out AND content IN (SELECT content FROM items GROUP BY content HAVING count(*) > 1)
        GROUP BY content HAVING count(DISTINCT item) > 1
    )
"""
"""The contents of several items, which an index tells, are few; to sort those of all items of the run would take longer."""

# Read them ---------------------------------------------------------------------------------------------------------

_ORIGINAL = "CASE WHEN originals.key IS NULL OR originals.key = listing.key THEN '' ELSE originals.key END"

_JOINED = "FROM listing LEFT JOIN items ON items.id = item LEFT JOIN originals USING (content)"
_OUTPUT_ROWS = f"{_JOINED} WHERE NOT left_out"

COUNT_ROWS = f"SELECT count(*) {_OUTPUT_ROWS}"

_CELLS = (
    "listing.key",
    "coalesce(items.tag, '')",
    "coalesce(confidence, '')",
    "coalesce(items.low_confidence, 'true')",
    "coalesce(items.reason, listing.failure, '')",
    "coalesce(group_, '')",
    "coalesce(group_confidence, '')",
    _ORIGINAL,
    ":model_name",
)

CELLS = f"SELECT {', '.join(_CELLS)} {_OUTPUT_ROWS} AND position BETWEEN :first AND :last"

_LINE = " || ',' || ".join(_CELLS)

LINES = f"SELECT position, CAST({_LINE} AS BLOB) {_OUTPUT_ROWS}"
"""The same cells with commas between them, as bytes in UTF-8: one value per row takes half the time of nine."""

ROWS = f"""
    SELECT listing.key, {_ORIGINAL}, columns, coalesce(items.failure, listing.failure),
           coalesce(items.detail, listing.detail), truncated, probabilities, {_REVIEWED}
    {_JOINED} LEFT JOIN contents ON contents.id = content WHERE NOT left_out
"""

LAST_POSITION = "SELECT max(position) FROM listing"

TAG_COUNTS = """
    SELECT coalesce(tag, ''), coalesce(low_confidence, 'true'), coalesce(reason, listing.failure, ''), count(*)
    FROM listing LEFT JOIN items ON items.id = item WHERE NOT left_out AND position BETWEEN ? AND ? GROUP BY 1, 2, 3
"""
"""SQLite groups by sorting, which for some rows at a time takes half as long as for a million at once."""

CHANGE_COUNTS = "SELECT change, count(*) FROM events WHERE run = :run GROUP BY change"

FAILURES = """
    SELECT listing.key, coalesce(items.failure, listing.failure), coalesce(items.detail, listing.detail)
    FROM listing LEFT JOIN items ON items.id = item
    WHERE NOT left_out AND reason IS NOT 'reviewed'
        AND (items.failure IS NOT NULL OR listing.failure IS NOT NULL AND listing.failure != 'no_image')
    ORDER BY position
"""

_BIN = "CASE confidence WHEN '' THEN -1 ELSE min(19, CAST(20 * confidence AS INTEGER)) END"
STORE_UPLOAD_COUNTS = f"""
    INSERT INTO night_counts
    SELECT events.run, 1, items.tag, items.low_confidence, items.reason, {_BIN}, count(*)
    FROM events JOIN items ON items.id = item
    WHERE events.run = :run AND tag_before IS NULL GROUP BY 3, 4, 5, 6
"""
STORE_ROW_COUNTS = "INSERT INTO night_counts VALUES (?, 0, ?, ?, ?, -1, ?)"

EVENTS = """
    SELECT change, items.key,
           CASE WHEN tag_before IS NULL THEN (
               SELECT min(old.key) FROM items old JOIN events gone ON gone.item = old.id AND gone.run = :run
               WHERE old.content = items.content AND gone.change = 'vanished'
           ) END,
           events.tag, events.low_confidence, events.reason, tag_before, low_confidence_before, reason_before
    FROM events JOIN items ON items.id = item WHERE events.run = :run ORDER BY items.key
"""

TOTALS = f"""
    SELECT (SELECT count(*) FROM listing WHERE left_out),
           (SELECT count(*) FROM listing JOIN items ON items.id = item JOIN originals USING (content)
            WHERE NOT left_out AND {_ORIGINAL} != ''),
           (SELECT count(*) FROM events WHERE run = :run AND (change = 'vanished' OR change = 'failed'
            AND tag_before IS NOT NULL AND reason IN ('missing', 'unreadable'))),
           (SELECT count(*) FROM items WHERE published IS NOT NULL)
               + (SELECT count(*) FROM events WHERE run = :run AND change = 'vanished')
               - (SELECT count(*) FROM events WHERE run = :run AND tag_before IS NULL)
"""

HAS_PHOTOS = "SELECT EXISTS (SELECT 1 FROM listing WHERE failure IS NOT 'no_image')"

_SELECTIONS = {
    "new": "item IN (SELECT item FROM events WHERE run = :run AND change = 'new')",
    "changed": "item IN (SELECT item FROM events WHERE run = :run AND change NOT IN ('new', 'vanished'))",
    "flagged": "coalesce(items.low_confidence, 'true') = 'true' AND coalesce(reason, listing.failure, '') NOT IN"
    " ('no_image', 'reviewed')",
}


def selected(query: str, only: Sequence[str]) -> str:
    """Restrict `COUNT_ROWS`, `CELLS` or `ROWS` to the rows that --only selects, all where it is empty, in their order."""
    condition = " OR ".join(f"({_SELECTIONS[name]})" for name in only)
    return f"{query} AND ({condition}) ORDER BY position" if condition else f"{query} ORDER BY position"
