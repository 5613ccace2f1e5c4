"""The library in ten lines: which photos may be published, and which should a person look at."""

from pathlib import Path

from tagger import Tagger

photos = sorted(Path(__file__).with_name("catalog").glob("*/*.*"))
for photo, tag in zip(photos, Tagger().tag(photos), strict=True):
    said = f"{tag.ranked[0][0]} ({tag.ranked[0][1]:.0%})" if tag.ranked else "no tag"
    print(f"{photo.name}: {said}", "- look at it: " + tag.reason if tag.low_confidence else "")
