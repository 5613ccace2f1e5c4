"""Serve the page over the nights: texts, charts and tables for the template `nights.html`.

Classes that `nights.css` styles: `nights-alarm` and
`nights-steady` (state of a statistic), `nights-scroll` (a wide table in a region of its own), `nights-number` (a cell with a
number), `nights-empty` (a number that a night lacks), `chart`, `sparkline` and, in them, `chart-line`, `chart-dashed`,
`chart-dot`, `chart-band`, `chart-grid`, `chart-label`, `chart-mark`.
"""

from collections.abc import Callable, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tagger.escaping import for_terminal
from tagger.metrics.sequential import REFERENCE
from tagger.review.night_alarms import ERROR, STATISTICS, Statistic, Watched, statistic_of, tag_shares
from tagger.review.nights import BundleNights, FoundAlarm, Night, Nights, read_nights
from tagger.review.nights_text import NAMES, alarm_sentence, moment, percent, state_sentence, tag_name
from tagger.web.sparklines import Mark, Series, line_chart, sparkline
from tagger.web.templates import render_page

RECENT = 60
"""Nights of a bundle that are shown unless all are wanted."""

TOGETHER = {1: "one by one", 3: "three together", 7: "seven together"}
"""Numbers of nights that can be compared together, and what they are called."""

MOST_TAGS = 12
"""Columns of the table of the mix per night; the most frequent tags."""


def nights_route(ledger: Path, catalog: str) -> Route:
    """Return the route of the page, which reads the ledger at each request; `catalog` is its name in the heading.

    What the ledger raises, a `LedgerError`, is left to the application.
    """

    def nights_page(request: Request) -> Response:
        everything = request.query_params.get("all") == "1"
        wanted = request.query_params.get("together", "")
        together = next((number for number in TOGETHER if wanted == str(number)), 1)
        context = nights_context(read_nights(ledger, together), everything, together)
        return render_page("nights.html", catalog=for_terminal(catalog), **context)

    return Route("/nights", nights_page)


def nights_context(nights: Nights, everything: bool = False, together: int = 1) -> dict[str, Any]:
    """Return the context of the template without `catalog`: texts that the template escapes, and charts as `Markup`.

    Args:
        nights: of a ledger.
        everything: show all nights of each bundle instead of the last `RECENT`.
        together: nights that are compared together, as `nights` was read.
    """
    pairs = zip_longest(nights.bundles, nights.bundles[1:])
    return {
        "uncounted": nights.uncounted,
        "error_percent": f"{100 * ERROR:g}",
        "reference": REFERENCE,
        "choices": [
            {"text": text, "address": _address(everything, number), "current": number == together}
            for number, text in TOGETHER.items()
        ],
        "all_address": _address(True, together),
        "bundles": [_bundle(bundle, earlier, everything) for bundle, earlier in pairs],
    }


def _address(everything: bool, together: int) -> str:
    """Return the address of the page with other options."""
    options = {"together": together} if together > 1 else {}
    return "?" + urlencode(options | ({"all": 1} if everything else {})) if options or everything else "/nights"


def _bundle(bundle: BundleNights, earlier: BundleNights | None, everything: bool) -> dict[str, Any]:
    """Return what is shown of a bundle; `earlier` is the one before it."""
    shown = bundle.nights if everything else bundle.nights[-RECENT:]
    moved = bundle.moved
    return {
        "id": f"bundle-{bundle.decision}",
        "name": for_terminal(bundle.bundle),
        "threshold": f"{bundle.min_confidence:.4f}",
        "first": moment(bundle.nights[0].started),
        "last": moment(bundle.nights[-1].started),
        "count": len(bundle.nights),
        "hidden": len(bundle.nights) - len(shown),
        "alarm": bool(moved),
        "states": [_state(bundle.watched[statistic], moved) for statistic in STATISTICS],
        "past": [alarm_sentence(found) for found in bundle.alarms if found not in moved],
        "shift": None if earlier is None else _shift(earlier, bundle),
        "charts": _charts(bundle, shown),
        "nights": [_night(night) for night in reversed(shown)],
        "tags": _tags(bundle, shown),
        "mix": _mix(bundle, shown),
    }


def _state(watched: Watched, moved: Sequence[FoundAlarm]) -> dict[str, Any]:
    found = [alarm_sentence(one) for one in moved if one.alarm.statistic == watched.statistic]
    return {"name": NAMES[watched.statistic], "alarm": bool(found), "text": found[0] if found else state_sentence(watched)}


def _shift(earlier: BundleNights, bundle: BundleNights) -> dict[str, Any] | None:
    """Return the statistics of a bundle's uploads beside those of the bundle before it; None where one has no uploads."""
    before, after = earlier.uploads, bundle.uploads
    if not before or not after:
        return None
    wanted: tuple[Statistic, ...] = ("flagged", "unknown", "confidence")
    rows = [
        {"name": NAMES[name], "before": percent(statistic_of(before, name)), "after": percent(statistic_of(after, name))}
        for name in wanted
    ]
    return {"bundle": for_terminal(earlier.bundle), "threshold": f"{earlier.min_confidence:.4f}", "rows": rows}


def _charts(bundle: BundleNights, shown: Sequence[Night]) -> list[dict[str, Any]]:
    """Return a chart of each statistic with one line, with a caption."""
    return [
        _chart(
            bundle, shown, "flagged", "Share of the uploads that a person should check, per night.", lambda night: night.flagged
        ),
        _chart(
            bundle, shown, "unknown", "Share of the uploads that were not recognised, per night.", lambda night: night.unknown
        ),
        _chart(
            bundle,
            shown,
            "confidence",
            "Mean confidence of the uploads (line), and the middle half of them (band), per night.",
            lambda night: night.confidence,
        ),
    ]


def _chart(
    bundle: BundleNights, shown: Sequence[Night], statistic: Statistic, caption: str, value: Callable[[Night], float | None]
) -> dict[str, Any]:
    values = [value(night) for night in shown]
    quartiles = [night.quartiles for night in shown]
    band = (
        ([q and q[0] for q in quartiles], [q and q[2] for q in quartiles])
        if statistic == "confidence" and any(quartiles)
        else None
    )
    places = {night.run: index for index, night in enumerate(shown)}
    marks = [
        Mark(places[found.since.run], alarm_sentence(found))
        for found in reversed(bundle.alarms)
        if found.alarm.statistic == statistic and found.since.run in places
    ]
    svg = line_chart(
        f"{statistic}-{bundle.decision}",
        f"{NAMES[statistic]} per night",
        _description(shown, values),
        [night.started[:10] for night in shown],
        [Series(NAMES[statistic], values)],
        band,
        marks,
    )
    return {"caption": caption, "svg": svg, "marked": bool(marks)}


def _description(shown: Sequence[Night], values: Sequence[float | None]) -> str:
    """Return the range and the last value of a line in a sentence."""
    known = [(night, value) for night, value in zip(shown, values, strict=True) if value is not None]
    if not known:
        return "No night has a value."
    low, high = min(value for _, value in known), max(value for _, value in known)
    night, last = known[-1]
    return (
        f"{len(known)} nights with values between {percent(low)} and {percent(high)}; "
        f"the last one, of {moment(night.started)}, is {percent(last)}."
    )


def _night(night: Night) -> dict[str, Any]:
    quartiles = night.quartiles
    return {
        "started": night.started,
        "time": moment(night.started),
        "run": night.run,
        "photos": f"{night.photos:,}",
        "open": f"{night.open:,}",
        "uploads": f"{night.uploads:,}",
        "failed": f"{night.failed:,}",
        "flagged": percent(night.flagged),
        "unknown": percent(night.unknown),
        "confidence": percent(night.confidence),
        "quartiles": "" if quartiles is None else f"{100 * quartiles[0]:.0f} to {100 * quartiles[2]:.0f} %",
        "evidence": night.evidence,
    }


def _tags(bundle: BundleNights, shown: Sequence[Night]) -> list[dict[str, Any]]:
    """Return the tags of the shown nights, the most frequent first, with their share per night as a sparkline."""
    overall = tag_shares(bundle.uploads)
    per_night = [tag_shares(night.judged) for night in shown]
    known = [shares for shares in per_night if shares]
    moved = _since_by_tag(bundle.moved)
    rows = []
    for tag in sorted(bundle.tags, key=lambda tag: (-overall.get(tag, 0.0), tag)):
        values = [shares.get(tag, 0.0) for shares in known]
        if any(values):
            rows.append(
                {
                    "name": tag_name(tag),
                    "overall": percent(overall.get(tag, 0.0)),
                    "latest": percent(values[-1]),
                    "low": percent(min(values)),
                    "high": percent(max(values)),
                    "sparkline": sparkline([shares.get(tag, 0.0) if shares else None for shares in per_night]),
                    "moved": moved.get(tag, ""),
                }
            )
    return rows


def _mix(bundle: BundleNights, shown: Sequence[Night]) -> dict[str, Any]:
    """Return the shares of the most frequent tags of each night with uploads, the latest first."""
    overall = tag_shares(bundle.uploads)
    frequent = sorted(bundle.tags, key=lambda tag: (-overall.get(tag, 0.0), tag))[:MOST_TAGS]
    rows = [
        {
            "started": night.started,
            "time": moment(night.started),
            "shares": [percent(shares.get(tag, 0.0)) for tag in frequent],
        }
        for night in reversed(shown)
        if (shares := tag_shares(night.judged))
    ]
    return {"tags": [tag_name(tag) for tag in frequent], "left_out": len(bundle.tags) - len(frequent), "rows": rows}


def _since_by_tag(moved: Sequence[FoundAlarm]) -> dict[str, str]:
    """Return the tags whose share is moved now with a sentence since when."""
    return {
        found.alarm.tag: f"{'rose' if found.alarm.up else 'fell'} since about {moment(found.since.started)}"
        for found in moved
        if found.alarm.statistic == "tags"
    }
