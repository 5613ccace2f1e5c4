"""The elements of a self-contained HTML page: no network, no script, no font.

Text is escaped here, images are embedded.
"""

import base64
from string import Template

from tagger.escaping import for_html
from tagger.evaluation import charts
from tagger.files import encode_text

CSS_DPI = 96
"""Pixels of a browser per inch."""


def page(title: str, parts: list[str]) -> bytes:
    """Return the page of the elements `parts`, UTF-8; what UTF-8 cannot hold is written as a backslash escape."""
    html = _PAGE.substitute(title=for_html(title), style=_STYLE, body="\n".join(parts))
    return encode_text(html)


def element(tag: str, text: str) -> str:
    """Return an element that holds plain text."""
    return f"<{tag}>{for_html(text)}</{tag}>"


def image(png: bytes, alt: str, density: float = 1.0) -> str:
    """Return an embedded PNG, shown at one CSS pixel per `density` of its own pixels."""
    width, height = (round(side / density) for side in charts.size_of(png))
    data = base64.b64encode(png).decode()
    return f'<img src="data:image/png;base64,{data}" width="{width}" height="{height}" alt="{for_html(alt)}">'


def figure(png: bytes, alt: str, caption: str) -> str:
    """Return an embedded chart of `charts` in its printed size, with a caption."""
    return f"<figure>{image(png, alt, charts.DPI / CSS_DPI)}<figcaption>{for_html(caption)}</figcaption></figure>"


_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>$title</title>
<style>
$style
</style>
</head>
<body>
$body
</body>
</html>
""")

_STYLE = """:root { color-scheme: light }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; font: 1rem/1.45 sans-serif; color: #111; background: #fff }
h1, h2, h3, p, code, figcaption, small, b, tbody th, .text { overflow-wrap: anywhere }
h2 { margin-top: 2.5rem; border-bottom: 2px solid #111 }
figure { margin: 1rem 0 }
img { max-width: 100%; height: auto }
figcaption, caption { text-align: left; font-style: italic; padding: .3rem 0 }
table { border-collapse: collapse; margin: 1rem 0 }
th, td { padding: .2rem .6rem; border-bottom: 1px solid #999; text-align: right; vertical-align: top;
  font-variant-numeric: tabular-nums }
thead th { border-bottom: 2px solid #111 }
tbody th, thead th:first-child, .text { text-align: left }
tbody th, td.text { min-width: 7rem }
td:not(.text) { white-space: nowrap }
.tiles { display: flex; flex-wrap: wrap; gap: 1rem; padding: 0; list-style: none }
.tiles li { width: 8.5rem; font-size: .875rem }
@page { margin: 12mm }
@media print {
  body { max-width: none; margin: 0; padding: 0; font-size: 10pt }
  h2, h3, caption { break-after: avoid }
  figure, tr, .tiles li { break-inside: avoid }
  figure img { max-height: 240mm; width: auto }
  thead { display: table-header-group }
}"""
