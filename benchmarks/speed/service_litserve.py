"""Serve the same networks by LitServe: it decodes, collects requests into batches, runs the networks and encodes the answer.

    python -m benchmarks.speed.service_litserve PORT [WORKERS] [BATCH]

Run by `service` in an environment with LitServe. There are as many workers as processors, as each decodes and computes one
photo at a time, in one thread; requests are collected for 5 ms, as `fmtag serve` does, into batches of at most `BATCH`.
Of seven settings that were tried with 16 clients (batches of 4, 8 and 16, 5 and 20 ms, 2 and 3 workers, 1 and 2 processes that
speak HTTP, LitServe's own fast queue) this one was the fastest.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace

import litserve
from fastapi import Request

from benchmarks.speed.service_naive import answer_of
from tagger import Tag, Tagger
from tagger.photos.loader import LoadedPhoto, load_bytes
from tagger.records import ProductImage

BATCH = 8
"""Photos of a batch at most: more of them leave one worker without work while the other has all requests of 16 clients."""

TIMEOUT_S = 0.005
"""Seconds for which requests are collected."""


class TagApi(litserve.LitAPI):
    """Photos to tags."""

    def setup(self, device: str) -> None:
        """Open the networks, in each worker."""
        import cv2

        cv2.setNumThreads(1)
        self.tagger = Tagger(workers=1)

    def decode_request(self, request: Request) -> LoadedPhoto:
        """Decode a photo and find its product; LitServe reads a form of what it takes for a `Request`."""
        return load_bytes(request["files"].file.read(), "the photo")

    def predict(self, batch: Sequence[LoadedPhoto]) -> list[Tag]:
        """Run the networks on a batch; on the CPU each photo by itself, as everywhere in fmtag, in the worker's own thread."""
        return [self.tagger.decide(scored) for scored in self.tagger.score_batch([*map(self._computed, batch)])]

    def _computed(self, photo: LoadedPhoto) -> LoadedPhoto:
        product = photo.outcome
        found = isinstance(product, ProductImage) and product.found
        return replace(photo, outputs=self.tagger.compute(product)) if found else photo

    def encode_response(self, output: Tag) -> dict[str, object]:
        """Return the answer."""
        return answer_of(output)


if __name__ == "__main__":
    port, workers, batch = [*map(int, sys.argv[1:]), len(os.sched_getaffinity(0)), BATCH][:3]
    api = TagApi(max_batch_size=batch, batch_timeout=TIMEOUT_S)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=workers, timeout=False)
    server.run(
        host="127.0.0.1", port=port, num_api_servers=1, log_level="warning", generate_client_file=False, access_log=False
    )
