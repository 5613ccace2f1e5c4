"""Create and upgrade the tables of the ledger; `PRAGMA user_version` counts the steps that a file has been through.

A released step never changes, not even its comments, which SQLite stores; a change of the format is a further step, and a
file of the format before it goes into `tests/fixtures`.
"""

import sqlite3

from tagger.errors import LedgerError

APPLICATION_ID = int.from_bytes(b"fmtg", "big")
"""Marks an SQLite file as fmtag's, by `PRAGMA application_id`."""

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE models (
        id INTEGER PRIMARY KEY,
        fingerprint TEXT NOT NULL UNIQUE,  -- sha256 of the card, and the version of the background cut
        name TEXT NOT NULL,                -- as the column `model` has it
        labels TEXT NOT NULL               -- JSON list, in the order of the probabilities
    );
    CREATE TABLE decisions (               -- what probabilities become rows by
        id INTEGER PRIMARY KEY,
        model INTEGER NOT NULL REFERENCES models,
        min_confidence REAL NOT NULL,
        names TEXT NOT NULL,               -- JSON object: labels that go by another name
        UNIQUE (model, min_confidence, names)
    );
    CREATE TABLE runs (
        id INTEGER PRIMARY KEY,
        started TEXT NOT NULL,             -- UTC, ISO 8601
        finished TEXT,                     -- NULL while it goes on, and for ever if it was killed
        pid INTEGER NOT NULL,
        host TEXT NOT NULL,
        version TEXT NOT NULL,             -- of fmtag
        source TEXT NOT NULL,
        out TEXT NOT NULL,
        decision INTEGER NOT NULL REFERENCES decisions,
        fresh INTEGER NOT NULL,
        verify INTEGER NOT NULL
    );
    CREATE TABLE contents (                -- one for all files with the same bytes
        id INTEGER PRIMARY KEY,
        sha256 BLOB NOT NULL UNIQUE,
        model INTEGER REFERENCES models,   -- that the probabilities are of; NULL where the bytes are no photo
        run INTEGER REFERENCES runs,       -- in which it was scored
        truncated INTEGER NOT NULL DEFAULT 0,
        probabilities BLOB                 -- float32, little-endian; NULL where no product stands out
    );
    CREATE TABLE items (
        id INTEGER PRIMARY KEY,
        key NOT NULL UNIQUE,               -- the path as the source gives it; bytes where it is no Unicode
        size INTEGER,
        mtime_ns INTEGER,                  -- NULL where it cannot tell
        content INTEGER REFERENCES contents,
        failure TEXT,                      -- the reason, where it could not be read
        detail TEXT,
        tries INTEGER NOT NULL,            -- runs in which it failed as it is
        run INTEGER NOT NULL REFERENCES runs,  -- in which its bytes were last looked at
        decision INTEGER REFERENCES decisions, -- that its row was made by; NULL where it has to be made anew
        published INTEGER REFERENCES runs, -- in which its row last changed; NULL where the last output has none
        tag TEXT,                          -- that row, as the output has it
        confidence TEXT,
        low_confidence TEXT,
        reason TEXT,
        group_ TEXT,
        group_confidence TEXT
    );
    CREATE INDEX items_of_content ON items (content);
    CREATE INDEX items_published ON items (id) WHERE published IS NOT NULL;
    CREATE TABLE events (                  -- what was another in a run's output than in the one before
        run INTEGER NOT NULL REFERENCES runs,
        item INTEGER NOT NULL REFERENCES items,
        change TEXT NOT NULL,
        tag TEXT,
        low_confidence TEXT,
        reason TEXT,
        tag_before TEXT,
        low_confidence_before TEXT,
        reason_before TEXT,
        PRIMARY KEY (run, item)
    ) WITHOUT ROWID;
    CREATE INDEX events_of_item ON events (item, run);
    """,
    """
    -- Fingerprint of what computes embeddings, '' where a model has none.
    ALTER TABLE models ADD COLUMN eyes TEXT NOT NULL DEFAULT '';
    CREATE TABLE embeddings (              -- apart from `contents`, whose rows every run reads
        content INTEGER PRIMARY KEY REFERENCES contents,
        model INTEGER NOT NULL REFERENCES models,  -- that computed it; it holds for all models of the same eyes
        run INTEGER NOT NULL REFERENCES runs,      -- in which the photo was read
        embedding BLOB NOT NULL
    );
    """,
    """
    -- What decided which files could be read: the version of the decoder and its limits. NULL in runs of before.
    ALTER TABLE runs ADD COLUMN decoding TEXT;
    """,
    """
    CREATE TABLE reviews (                 -- what people decided about the bytes of photos; only ever added to
        id INTEGER PRIMARY KEY,
        content INTEGER NOT NULL REFERENCES contents,
        label TEXT,                        -- '' where it shows none of the labels; NULL where a decision is taken back
        reviewer TEXT NOT NULL,
        decided TEXT NOT NULL,             -- UTC, ISO 8601 with milliseconds
        item INTEGER NOT NULL REFERENCES items, -- at whose row it was decided
        tag TEXT,                          -- that row before
        confidence TEXT,
        reason TEXT,
        before INTEGER REFERENCES reviews  -- the one that counted before; NULL for none
    );
    CREATE INDEX reviews_of_content ON reviews (content);
    ALTER TABLE contents ADD COLUMN review INTEGER REFERENCES reviews; -- the one that counts; NULL for none
    CREATE TABLE places (                  -- where a photo lies, if neither the root nor the key says that
        item INTEGER PRIMARY KEY REFERENCES items,
        place TEXT NOT NULL                -- JSON: a path, or the list of an EmbeddedPhoto's fields
    );
    -- The folder that relative keys start from; NULL in runs of before.
    ALTER TABLE runs ADD COLUMN root TEXT;
    CREATE TABLE night_counts (            -- of each finished run
        run INTEGER NOT NULL REFERENCES runs,
        uploads INTEGER NOT NULL,          -- 1: rows that are new in this run; 0: all rows
        tag TEXT NOT NULL,
        low_confidence TEXT NOT NULL,
        reason TEXT NOT NULL,
        confidence_bin INTEGER NOT NULL,   -- of uploads, 0..19 by twentieths; -1 without a confidence, and for all rows
        photos INTEGER NOT NULL,
        PRIMARY KEY (run, uploads, tag, low_confidence, reason, confidence_bin)
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE shards (                  -- the last finished run, if it was one of a part of its source; else none
        run INTEGER PRIMARY KEY REFERENCES runs,
        shard INTEGER NOT NULL,            -- its number, from 0
        shards INTEGER NOT NULL,           -- how many there are
        items INTEGER NOT NULL,            -- of the whole source
        columns TEXT NOT NULL,             -- JSON list: names of the source table's columns
        schema BLOB,                       -- their types as Arrow serializes them; NULL unless the table is Parquet
        counts TEXT NOT NULL               -- JSON object: counts of the listing that no row tells
    );
    CREATE TABLE shard_rows (              -- the items of that run, for a merge
        position INTEGER PRIMARY KEY,      -- in the whole source, from 1
        key NOT NULL,
        left_out INTEGER NOT NULL,         -- 1 for files that were still being written
        failure TEXT,                      -- reason why the source itself has no photo for it
        detail TEXT,
        columns BLOB,                      -- of its table row, pickled
        place TEXT                         -- as in `places`
    );
    """,
)

RUN_TABLES = """
    CREATE TEMP TABLE listing (            -- the items of this run, in the order of the source
        position INTEGER PRIMARY KEY,
        key NOT NULL,
        size INTEGER,
        mtime_ns INTEGER,
        left_out INTEGER NOT NULL,         -- 1 for files that are still being written
        failure TEXT,                      -- reason why the source itself has no photo for it
        detail TEXT,                       -- of the failure, or of a file that is missing
        columns BLOB,                      -- of its table row
        place TEXT,                        -- as in `places`; NULL where the key says it
        signature TEXT,                    -- of an address; a credential, which only this run knows
        item INTEGER                       -- NULL while `items` has no row for it
    );
    CREATE TEMP TABLE unscored (position INTEGER PRIMARY KEY);
    CREATE TEMP TABLE outdated (content INTEGER PRIMARY KEY);
    CREATE TEMP TABLE undecided (item INTEGER PRIMARY KEY);
    CREATE TEMP TABLE originals (content INTEGER PRIMARY KEY, key NOT NULL);
"""
"""Temporary tables of one run, which are not part of the file's format."""


def migrate(sql: sqlite3.Connection, name: str) -> None:
    """Upgrade a ledger to this version's format; raise `LedgerError` for a newer format or another program's database."""
    application = sql.execute("PRAGMA application_id").fetchone()[0]
    version = sql.execute("PRAGMA user_version").fetchone()[0]
    if application != APPLICATION_ID:
        if application or version or sql.execute("SELECT 1 FROM sqlite_master").fetchone():
            raise LedgerError(f"{name} is another program's database; give --ledger another file.")
        sql.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    if version > len(MIGRATIONS):
        raise LedgerError(f"The ledger {name} is from a newer fmtag; update fmtag, or give --ledger another file.")
    for number, step in enumerate(MIGRATIONS[version:], version + 1):
        sql.executescript(f"BEGIN IMMEDIATE; {step}; PRAGMA user_version = {number}; COMMIT;")
