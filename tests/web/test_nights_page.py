"""The page over the nights: what its template shows."""

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from nights_helpers import uploads, write_ledger
from review_web_helpers import TOKEN, Review
from starlette.testclient import TestClient

import tagger.web
from tagger.review.nights import Nights, read_nights
from tagger.review.nights_text import alarm_sentence, moment, state_sentence
from tagger.web.guard import local_hosts
from tagger.web.nights_page import RECENT, nights_context, nights_route
from tagger.web.review_app import review_app
from tagger.web.templates import render

WEB = Path(tagger.web.__file__).parent


class Page(HTMLParser):
    """Texts, attributes and tables of a page; raises where tags do not match."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.tables: list[list[list[str]]] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value) for name, value in attributes]
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        if tag not in ("link", "meta", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value) for name, value in attributes]

    def handle_data(self, data: str) -> None:
        if self.open and {"td", "th"} & set(self.open):
            self.tables[-1][-1][-1] += data.strip()


def rendered(nights: Nights, everything: bool = False) -> str:
    """Return the page."""
    return render("nights.html", catalog="tags.csv", **nights_context(nights, everything))


def text_of(html: str) -> str:
    """Return the text of a page in one line."""
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


@pytest.fixture(scope="module")
def broken_camera(tmp_path_factory: pytest.TempPathFactory) -> Nights:
    """Ten nights of an older bundle, then 40 and seven after the camera broke, and two runs of before the counts."""
    rng = np.random.default_rng(1)
    older = [uploads(rng, 60, 0.1) for _ in range(10)]
    alike = [uploads(rng, 80, 0.3) for _ in range(40)]
    broken = [uploads(rng, 80, 0.8, bins=12) for _ in range(7)]
    bundles = ["old@1"] * 12 + ["new@2+g3"] * 47
    path = tmp_path_factory.mktemp("nights") / "t.ledger"
    return read_nights(write_ledger(path, [None, None, *older, *alike, *broken], bundles))


def test_the_page_shows_the_alarms(broken_camera: Nights) -> None:
    """What moved, since when, from what to what; the other statistics are steady."""
    html = rendered(broken_camera)
    text = text_of(html)
    found = re.search(r"Alarm: Share of flagged photos rose from (\S+) % to (\S+) % since about 2026-02-(\d\d) 02:00;", text)
    assert found is not None
    assert float(found[1]) == pytest.approx(30, abs=3)
    assert float(found[2]) == pytest.approx(80, abs=8)
    assert 23 <= int(found[3]) <= 27
    assert "Alarm: Mean confidence fell from" in text
    assert "Share of photos that were not recognised: steady over" in text
    assert "at most 5 %, over all nights of a bundle together" in text
    assert "2 earlier runs have no counts and are left out." in text
    assert html.count('class="chart-mark"') == 2
    Page(html)


def test_each_chart_has_its_numbers_in_a_table(broken_camera: Nights) -> None:
    """A row of each night, the latest first, with the shares that the chart shows, and the tags with theirs."""
    page = Page(rendered(broken_camera))
    new, old = broken_camera.bundles
    numbers = next(table for table in page.tables if table[0][0] == "Night" and "Flagged" in table[0])
    assert len(numbers) == 1 + len(new.nights)
    last = new.nights[-1]
    assert last.flagged is not None
    assert last.confidence is not None
    assert numbers[1][:4] == [moment(last.started), "160", str(last.open), "80"]
    assert numbers[1][5] == f"{100 * last.flagged:.1f} %"
    assert numbers[1][7] == f"{100 * last.confidence:.1f} %"
    mix = next(table for table in page.tables if table[0][0] == "Tag")
    assert [row[0] for row in mix[1:3]] == ["Dress", "Bag"]
    per_night = next(table for table in page.tables if table[0][:2] == ["Night", "Dress"])
    assert per_night[1][1] == f"{100 * (last.share('Dress') or 0):.1f} %"
    assert [table[0][1:] for table in page.tables if table[0][0] == "Uploads"] == [
        ["old@1, threshold 0.7000", "new@2+g3, threshold 0.7000"]
    ]
    assert len(old.alarms) == 0


def test_the_page_is_accessible_and_needs_no_inline_style(broken_camera: Nights) -> None:
    """No identity occurs twice, each table has a caption, each scrolling region a name, and there is no style or script."""
    html = rendered(broken_camera)
    page = Page(html)
    identities = [value for _, name, value in page.attributes if name == "id"]
    assert len(set(identities)) == len(identities) > 0
    assert html.count("<caption>") == html.count("<table>") == len(page.tables)
    assert html.count('role="region" aria-label=') == html.count('tabindex="0"') > 0
    assert not {name for _, name, _ in page.attributes if name == "style" or name.startswith("on")}
    assert "<script" not in html


def test_every_class_has_a_style(broken_camera: Nights) -> None:
    """The style sheet knows the classes of the page, and the page links it."""
    page = Page(rendered(broken_camera))
    used = {word for _, name, value in page.attributes if name == "class" for word in (value or "").split()}
    sheet = "".join((WEB / "static" / name).read_text() for name in ("nights.css", "fmtag.css"))
    assert {name for name in used if f".{name}" not in sheet} <= {"nights-steady"}
    assert ("link", "href", "/static/nights.css") in page.attributes


def test_names_from_outside_are_text(tmp_path: Path) -> None:
    """Tags and bundles with markup and control characters are shown as text."""
    evil = {("<b>\x1b[31m", "false", "", 18): 40}
    ledger = write_ledger(tmp_path / "t.ledger", [evil] * 3, ["<script>x</script>"] * 3, names={"Dress": "<b>\x1b[31m"})
    html = rendered(read_nights(ledger))
    assert "<script" not in html
    assert "<b>" not in html
    assert "\x1b" not in html
    assert "&lt;b&gt;\\x1b[31m" in html


def test_only_recent_nights_are_shown_unless_all_are_wanted(tmp_path: Path) -> None:
    """A year is a long table: the last sixty are shown, with a link to all."""
    rng = np.random.default_rng(2)
    nights = read_nights(write_ledger(tmp_path / "t.ledger", [uploads(rng, 20) for _ in range(RECENT + 5)]))
    few, every = rendered(nights), rendered(nights, everything=True)
    assert few.count("<tr>") < every.count("<tr>")
    assert 'href="?all=1">Show all' in few
    assert 'href="?all=1">Show all' not in every
    assert f"The last {RECENT} nights are shown." in text_of(few)


def test_an_empty_ledger_and_a_first_night_have_a_page(tmp_path: Path) -> None:
    """They say what is there, and what is missing until alarms are possible."""
    assert "There is no finished run with counts yet." in text_of(
        rendered(read_nights(write_ledger(tmp_path / "a.ledger", [])))
    )
    night = {("Bag", "false", "", 18): 40}
    text = text_of(rendered(read_nights(write_ledger(tmp_path / "b.ledger", [night, {}]))))
    assert "10 of 10 batches are still missing" in text
    assert "none" in text


def test_an_alarm_of_before_is_listed(tmp_path: Path) -> None:
    """Ten nights after an alarm it is an earlier one; a tag that moved is named."""
    rng = np.random.default_rng(3)
    shares = [0.2] * 30 + [0.8] * 12
    nights = read_nights(write_ledger(tmp_path / "t.ledger", [uploads(rng, 80, bag=share) for share in shares]))
    html = rendered(nights)
    (found,) = nights.bundles[0].alarms
    assert alarm_sentence(found).startswith(
        "Share of Bag rose from " if found.alarm.tag == "Bag" else "Share of Dress fell from "
    )
    assert alarm_sentence(found) in text_of(html)
    assert 'class="nights-moved">' in html
    later = read_nights(write_ledger(tmp_path / "u.ledger", [uploads(rng, 80, bag=share) for share in [*shares, *[0.8] * 12]]))
    assert "Earlier alarms" in rendered(later)
    assert "steady" in state_sentence(later.bundles[0].watched["tags"])


def test_the_page_is_part_of_the_review(review: Review) -> None:
    """It is served behind the review's token and headers, as the ledger is at each request; a lost ledger is one sentence."""
    ledger = review.folder / "tags.ledger"
    app = review_app(review.state, TOKEN, 8000, local_hosts("127.0.0.1"), [nights_route(ledger, "tags.csv")])
    address = "http://127.0.0.1:8000"
    with TestClient(app, base_url=address) as other:
        assert other.get("/nights").status_code in (401, 403)
    with TestClient(app, base_url=address, headers={"authorization": f"Bearer {TOKEN}"}) as client:
        answer = client.get("/nights?all=1")
        assert answer.status_code == 200
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "tags.csv" in answer.text
        assert 'aria-current="page">Nights</a>' in answer.text
        assert "12" in next(table for table in Page(answer.text).tables if table[0][0] == "Night")[1]
        assert client.get("/static/nights.css").status_code == 200
        weekly = client.get("/nights?together=7&all=1").text
        assert 'href="?together=7&amp;all=1" aria-current="true">seven together</a>' in weekly
        assert 'aria-current="true">one by one</a>' in client.get("/nights?together=nonsense").text
        ledger.rename(ledger.with_name("away"))
        assert client.get("/nights").status_code == 503
