"""Tag uploads in a FastAPI handler as a tutorial writes it: no batches, no limits, no pool of its own.

    python -m benchmarks.speed.service_naive per-request|convert|async|threads PORT

- `per-request`: the line of our README in an `async def` handler, `Tagger().tag([Image.open(file)])`: networks are opened anew
  for every request;
- `convert`: the same handler with one `Tagger`, made at the start, and the photo as tutorials open it,
  `Image.open(file).convert("RGB")`, which decodes all of its pixels;
- `async`: the same without `convert`, which lets `Tagger` decode at a reduced size and give the tag of the file. Both of them
  compute in the event loop, so one request at a time;
- `threads`: the same in a `def` handler, which FastAPI calls in its pool of 40 threads.

All take a photo in the form's field `files` at `/tag`.
"""

import sys
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI, UploadFile
from PIL import Image

from tagger import Tag, Tagger

Handler = Callable[[UploadFile], dict[str, object]]


def answer_of(tag: Tag) -> dict[str, object]:
    """Return what the servers that are compared answer of a tag."""
    return {"tag": tag.label, "confidence": round(tag.confidence, 4), "low_confidence": tag.low_confidence}


def create_app(kind: str) -> FastAPI:
    """Return the application of one kind."""
    app = FastAPI()
    tagger = None if kind == "per-request" else Tagger()

    def tag(files: UploadFile) -> dict[str, object]:
        image = Image.open(files.file)
        opened = image.convert("RGB") if kind == "convert" else image
        return answer_of(next((tagger or Tagger()).tag([opened])))

    async def tag_in_loop(files: UploadFile) -> dict[str, object]:
        return tag(files)

    app.post("/tag")(tag if kind == "threads" else tag_in_loop)
    return app


if __name__ == "__main__":
    uvicorn.run(create_app(sys.argv[1]), host="127.0.0.1", port=int(sys.argv[2]), log_level="warning", access_log=False)
