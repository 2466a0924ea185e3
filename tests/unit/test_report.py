"""The report of a verification: its digest, and a page that holds nothing but it."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

from daemon.report.page import page, report_in
from replicator.planning.plan import ColumnPlan
from replicator.verification.findings import Checksum, Finding, Mode, TableReport, beginning
from replicator.verification.report import is_intact, judged, sealed

EVIL = "</script><script>alert(1)</script><b>&'\""


def report(**changes: Any) -> dict[str, Any]:
    """Return a report about one table whose name a page must not believe."""
    table = TableReport(EVIL, source_rows=3, target_rows=3, compared=3, different=1)
    table.note(f"different: key 1, columns {EVIL}")
    table.structure = [Finding(EVIL, f"index {EVIL}", "is not there", "build it")]
    source = {
        "path": f"/data/{EVIL}.db", "id": "5", "schema": "public", "state": "streaming",
        "journal_mode": "wal",
        "position_before": 1, "position_after": 2, "quarantined": 0, "tables": [table.as_dict()],
    }  # fmt: skip
    document = {
        "format": "liteferry verification 1", "id": "7", "kind": "full", "table": None, "repair": False,
        **judged([table]), "started_at": "2026-11-22T11:40:00.000+00:00", "seconds": 1.25,
        "finished_at": "2026-11-22T11:40:01.250+00:00", "version": "0.1.0", "asked_by": "me@here",
        "run_by": "it@there", "target": "postgresql://me@db/app", "sources": [source],
    }  # fmt: skip
    return sealed({**document, **changes})


class Tags(HTMLParser):
    """Collects the tags and attributes of a page."""

    def __init__(self, text: str) -> None:
        """Read the page."""
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.tags.append(tag)
        self.attributes.update(name for name, _ in attrs)


def test_a_digest_does_not_depend_on_the_order_and_the_white_space() -> None:
    """What is written and read again, in whatever order, is intact."""
    made = report()
    again = json.loads(json.dumps(dict(reversed(made.items())), indent=7))
    assert is_intact(again)


def test_an_edit_of_anything_shows() -> None:
    """Each entry, also one deep inside, and one that was added."""
    for name in report():
        edited = json.loads(json.dumps(report()))
        edited[name] = "another"
        assert not is_intact(edited), name
    deep = json.loads(json.dumps(report()))
    deep["sources"][0]["tables"][0]["different"] = 0
    assert not is_intact(deep)
    assert not is_intact({**report(), "more": 1})


def test_a_page_believes_no_name() -> None:
    """Whatever a table is called makes no tag, and the page loads nothing from anywhere."""
    text = page(report())
    found = Tags(text)
    assert found.tags.count("script") == 1
    assert "b" not in found.tags
    assert found.attributes <= {"lang", "charset", "http-equiv", "content", "name", "class", "type", "id"}
    assert "url(" not in text
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text


def test_a_page_holds_its_report_and_is_made_the_same_way_again() -> None:
    """So a page that was edited, in what it shows or in what it holds, is found out."""
    text = page(report())
    assert report_in(text) == json.loads(json.dumps(report()))
    assert page(report_in(text)) == text


def test_a_checksum_is_of_the_rows_and_not_of_their_order() -> None:
    """Another value, even of an equal number, is another checksum."""
    one, other, third = Checksum(), Checksum(), Checksum()
    for row in ((1, "a"), (2, "b")):
        one.add(Checksum.of(row))
    for same in ((2, "b"), (1, "a")):
        other.add(Checksum.of(same))
    for near in ((1, "a"), (2.0, "b")):
        third.add(Checksum.of(near))
    assert str(one) == str(other) != str(third)


def test_a_long_value_is_shown_around_the_place_where_it_differs() -> None:
    """Cut at both ends, with its length."""
    table, column = TableReport("t", Mode.ROWS), ColumnPlan("c", "c", "text")
    table.sample("different", (1,), [(column, "x" * 90 + "a" + "y" * 90, "x" * 90 + "b")])
    (shown,) = table.samples[0]["columns"]
    assert shown["source"] == f"...'{'x' * 20}a{'y' * 19}'... (181 characters)"
    assert shown["target"] == f"...'{'x' * 20}b' (91 characters)"
    assert beginning("x" * 100) == "'" + "x" * 40 + "'... (100 characters)"
    assert beginning(b"\x00\xff") == "x'00ff'"
    assert beginning(None) == "NULL"
