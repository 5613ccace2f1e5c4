"""One ledger answers several threads at once."""

import hashlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from tagger.records import Content, Result
from tagger.run import ledger
from tagger.run.ledger_values import ListedFile, RunKey

PHOTOS, ROUNDS, THREADS = 64, 100, 8


def test_threads_get_the_answers_to_their_own_questions() -> None:
    """Whether bytes are known is told rightly to threads that ask at the same time, of bytes known and unknown."""
    hashes = [hashlib.sha256(bytes([number])).digest() for number in range(PHOTOS)]
    with ledger.open_ledger(None) as memory:
        memory.begin(RunKey("source", "out", "version", "model", "fingerprint", ["a", "b"], 0.5))
        memory.list_files(ListedFile(f"{number}.jpg", 1, 1) for number in range(0, PHOTOS, 2))
        result = Result(probabilities=np.array([0.25, 0.75], np.float32))
        (items,) = memory.unscored_batches(PHOTOS)
        memory.record((item, Content(sha256, 1, 1), result) for item, sha256 in zip(items, hashes[::2], strict=True))
        with ThreadPoolExecutor(THREADS) as pool:
            answers = list(pool.map(memory.has_result, hashes * ROUNDS))
    assert answers == [number % 2 == 0 for number in range(PHOTOS)] * ROUNDS
