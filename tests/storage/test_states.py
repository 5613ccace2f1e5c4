"""One number tells versions of an object apart."""

from tagger.storage.states import state_of


def test_a_state_is_a_number_that_sqlite_stores() -> None:
    """Signed and of 64 bits, the same in every process, and another one where any part is another."""
    states = {
        state_of(*parts) for parts in (('"a"', 1), ('"a"', 2), ('"b"', 1), ("", None), ("a", "b"), ("ab", ""), ("\udc80", 1))
    }
    assert len(states) == 7
    assert all(-(1 << 63) <= state < 1 << 63 for state in states)
    assert state_of('"a"', 1) == -2_891_060_818_252_005_909
