"""Tag the example catalog from Python, and list the photos that a person should check."""

from pathlib import Path

from tagger import Tagger

photos = sorted(Path(__file__).with_name("catalog").glob("*/*.*"))
for tag in Tagger().tag(photos):
    label = f"{tag.label} ({tag.confidence:.0%})" if tag.label else "no tag"
    print(f"{Path(tag.path).name}: {label}", f"- look at it: {tag.reason}" if tag.low_confidence else "")
