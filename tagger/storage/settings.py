"""Settings of the requests to buckets and web servers."""

ATTEMPTS = 6
"""Times that a request is made at most, where it fails in a way that may pass."""

FIRST_WAIT, LONGEST_WAIT = 0.5, 20.0
"""Seconds before the second attempt at most, and before any: each wait is random below a bound that doubles (full jitter,
"Exponential Backoff and Jitter", AWS Architecture Blog, 2015), so that machines do not repeat all at once."""

CONNECT_SECONDS, READ_SECONDS, ANSWER_SECONDS = 10.0, 30.0, 300.0
"""Limits for a connection, for a pause within an answer, and for the whole of it."""

CONNECTIONS = 64
"""Connections at once per process."""

PART_BYTES = 64_000_000
"""Objects larger than this are sent in parts of so many bytes, which are put together once all have arrived."""

REDIRECTS = 5
"""Redirects of a web server that are followed."""

GIVE_UP_BUCKET = 20
"""Objects in a row that could not be had after all attempts, after which the bucket counts as out of order."""

GIVE_UP_SECONDS = 300.0
"""After which something that was given up is tried again."""

GIVE_UP_HOST = 3
"""Photos in a row whose web server was not reached after all attempts, after which it is not tried again."""
