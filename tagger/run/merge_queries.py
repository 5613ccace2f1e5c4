"""Hold the SQL of a merge: the ledger of a shard is attached as `shard`, the ledger of the whole is `main`.

Named parameters are those of a chunk, `:first` and `:last`, and `:run`, `:model` and `:eyes` as in `ledger_queries`.
"""

TABLES = """
    CREATE TEMP TABLE gathered (           -- the rows of all shards, one shard after the other
        position INTEGER NOT NULL, key NOT NULL, left_out INTEGER NOT NULL, failure TEXT, detail TEXT, columns BLOB, place TEXT
    );
    CREATE TEMP TABLE shard_models (id INTEGER PRIMARY KEY, model INTEGER NOT NULL);
"""
"""Temporary tables of one merge; `shard_models` has the number here of each model of the shard that is attached."""

SET_DECODING = "UPDATE runs SET decoding = ? WHERE id = ?"

# List the items of the whole source ----------------------------------------------------------------------------------

GATHER = "INSERT INTO gathered SELECT position, key, left_out, failure, detail, columns, place FROM shard.shard_rows"

LIST = """
    INSERT OR IGNORE INTO listing (position, key, left_out, failure, detail, columns, place)
    SELECT position, key, left_out, failure, detail, columns, place FROM gathered ORDER BY position
"""

LISTED = "SELECT (SELECT count(*) FROM gathered), count(*), coalesce(max(position), 0) FROM listing"

FORGET_GATHERED = "DROP TABLE gathered"

# Take the results of a shard ----------------------------------------------------------------------------------------

FORGET_MODELS = "DELETE FROM shard_models"

ADD_MODELS = """
    INSERT OR IGNORE INTO main.models (fingerprint, name, labels, eyes)
    SELECT fingerprint, name, labels, eyes FROM shard.models WHERE fingerprint NOT LIKE '%#%'
"""
"""Models that were retired, whose fingerprints got a number, have no results that could count."""

FIND_MODELS = """
    INSERT INTO shard_models
    SELECT theirs.id, ours.id FROM shard.models theirs JOIN main.models ours USING (fingerprint, eyes)
"""

LAST_CONTENT = "SELECT coalesce(max(id), 0) FROM shard.contents"

ADD_CONTENTS = """
    INSERT INTO main.contents (sha256, model, run, truncated, probabilities)
    SELECT sha256, shard_models.model, CASE WHEN theirs.model IS NOT NULL THEN :run END, truncated, probabilities
    FROM shard.contents theirs LEFT JOIN shard_models ON shard_models.id = theirs.model
    WHERE theirs.id BETWEEN :first AND :last AND (theirs.model IS NULL OR shard_models.model IS NOT NULL)
    ON CONFLICT (sha256) DO UPDATE SET
        model = excluded.model, run = excluded.run, truncated = excluded.truncated, probabilities = excluded.probabilities
    WHERE excluded.model = :model AND (contents.model IS NOT excluded.model OR contents.truncated != excluded.truncated
        OR contents.probabilities IS NOT excluded.probabilities)
"""

ADD_EMBEDDINGS = """
    INSERT INTO main.embeddings (content, model, run, embedding)
    SELECT ours.id, shard_models.model, :run, theirs.embedding
    FROM shard.embeddings theirs JOIN shard_models ON shard_models.id = theirs.model
    JOIN shard.contents ON shard.contents.id = theirs.content JOIN main.contents ours USING (sha256)
    WHERE theirs.content BETWEEN :first AND :last
    ON CONFLICT (content) DO UPDATE SET model = excluded.model, run = excluded.run, embedding = excluded.embedding
    WHERE excluded.model IN (SELECT id FROM main.models WHERE eyes = :eyes)
        AND (embeddings.model != excluded.model OR embeddings.embedding IS NOT excluded.embedding)
"""

LAST_ITEM = "SELECT coalesce(max(id), 0) FROM shard.items"

_SAME_RESULT = "items.content IS excluded.content AND items.failure IS excluded.failure"

_SAME = f"""{_SAME_RESULT} AND items.size IS excluded.size AND items.mtime_ns IS excluded.mtime_ns
        AND items.tries = excluded.tries"""

ADD_ITEMS = f"""
    INSERT INTO main.items (key, size, mtime_ns, content, failure, detail, tries, run)
    SELECT key, size, mtime_ns, ours.id, failure, detail, tries, :run
    FROM shard.items theirs LEFT JOIN shard.contents ON shard.contents.id = theirs.content
    LEFT JOIN main.contents ours USING (sha256)
    WHERE theirs.id BETWEEN :first AND :last AND theirs.published IS NOT NULL
    ON CONFLICT (key) DO UPDATE SET
        size = excluded.size, mtime_ns = excluded.mtime_ns, content = excluded.content, failure = excluded.failure,
        detail = excluded.detail, tries = excluded.tries,
        run = CASE WHEN {_SAME} THEN items.run ELSE excluded.run END,
        decision = CASE WHEN {_SAME_RESULT} THEN items.decision END
"""
"""Those that the shard's last output has, for whose paths no other shard has one."""

SET_ASIDE_CHANGED = """
    UPDATE items SET decision = NULL
    WHERE decision IS NOT NULL AND content IN (SELECT id FROM contents WHERE run = :run)
"""
"""For rows of before whose bytes have another result now."""

# Take what people decided --------------------------------------------------------------------------------------------

REVIEWED = """
    SELECT theirs.content, sha256, shard.contents.review FROM (SELECT DISTINCT content FROM shard.reviews) theirs
    JOIN shard.contents ON shard.contents.id = theirs.content
"""

REVIEWS = """
    SELECT theirs.id, label, reviewer, decided, item, tag, confidence, reason, before
    FROM shard.reviews theirs WHERE content = ? ORDER BY id
"""

ADD_CONTENT = "INSERT OR IGNORE INTO main.contents (sha256) VALUES (?)"

OURS = "SELECT id, (SELECT max(decided) FROM main.reviews WHERE content = contents.id) FROM main.contents WHERE sha256 = ?"

ADD_ITEM = """
    INSERT OR IGNORE INTO main.items (key, size, mtime_ns, content, failure, detail, tries, run)
    SELECT key, size, mtime_ns, ?, failure, detail, tries, ? FROM shard.items WHERE id = ?
"""

ITEM = "SELECT ours.id FROM shard.items theirs JOIN main.items ours USING (key) WHERE theirs.id = ?"

SAME_REVIEW = "SELECT id FROM main.reviews WHERE content = ? AND label IS ? AND reviewer = ? AND decided = ?"

ADD_REVIEW = """
    INSERT INTO main.reviews (content, label, reviewer, decided, item, tag, confidence, reason, before)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

COUNT_REVIEW = "UPDATE main.contents SET review = ? WHERE id = ?"

SET_ASIDE = "UPDATE main.items SET decision = NULL WHERE content = ?"
