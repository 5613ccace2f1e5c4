"""The counts of requests: what is added, and what goes to another process."""

import pickle

from tagger.storage.traffic import Traffic


def test_counts_of_two_are_added() -> None:
    """Requests, repeats and bytes of one are those of both, once they are added."""
    one, other = Traffic(), Traffic()
    one.count("get")
    other.count("get", retried=True)
    other.count("put")
    one.count_bytes(received=100)
    other.count_bytes(received=20, sent=7)
    one.add(other)
    assert one.requests == {"get": 2, "put": 1}
    assert (one.retries, one.received, one.sent) == (1, 120, 7)


def test_counts_go_to_another_process() -> None:
    """What was pickled counts on."""
    traffic = Traffic()
    traffic.count("list")
    copy: Traffic = pickle.loads(pickle.dumps(traffic))
    copy.count("list")
    assert copy.requests == {"list": 2}
    assert traffic.requests == {"list": 1}
