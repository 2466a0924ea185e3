"""The journal: what of the log an operator reads on the dashboard, bounded and in words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import structlog

from daemon import log
from daemon.journal import Journal
from daemon.news import TOLD, News, news

ROOT = Path(__file__).parents[2]

MOVE = {
    "outcome": "cut_over",
    "pause_seconds": 0.0312,
    "phases": [{"name": "lock", "seconds": 0.004}, {"name": "drain", "seconds": 0.0272}],
    "reason": "",
    "finished_at": "2026-11-22T12:04:11Z",
}

SAID: list[tuple[str, str, dict[str, Any], News | None]] = [
    (
        "info",
        "state",
        {"source": "/a.db", "state": "cut_over", "before": "cutting_over"},
        News("info", "state", "cut over, before cutting over", "/a.db"),
    ),
    (
        "warning",
        "waiting",
        {"source": "/a.db", "reason": "refused", "failures": 1},
        News("warning", "target", "waiting: refused", "/a.db"),
    ),
    (
        "info",
        "recovered",
        {"source": "/a.db", "failures": 9},
        News("info", "target", "goes on again after 9 attempts", "/a.db"),
    ),
    (
        "info",
        "cutover",
        MOVE,
        News("info", "cutover", "cutover done, writers waited 31 ms (lock 4 ms, drain 27 ms)"),
    ),
    (
        "warning",
        "rows put in quarantine",
        {"table": "orders", "rows": 3},
        News("warning", "quarantine", "rows put in quarantine: table orders, 3 rows"),
    ),
    (
        "warning",
        "verified",
        {"kind": "full", "verdict": "different: 1 of 4 tables", "digest": "x"},
        News("warning", "verification", "verification (full): different: 1 of 4 tables"),
    ),
    (
        "info",
        "not ready for cutover",
        {"reasons": ["a", "b"]},
        News("info", "readiness", "not ready for cutover: a; b"),
    ),
    # what nobody has thought of is told when it is grave, and left to the log when it is not
    ("error", "odd", {"reason": "why", "row": "secret"}, News("error", "daemon", "odd: why")),
    ("info", "odd", {"reason": "why"}, None),
    ("info", "listening", {"dashboard": "http://127.0.0.1/"}, None),
]


@pytest.mark.parametrize(("level", "event", "values", "expected"), SAID)
def test_a_line_of_the_log_becomes_a_sentence(
    level: str, event: str, values: dict[str, Any], expected: News | None
) -> None:
    """With its source and its reason, and nothing that nobody has chosen."""
    assert news(level, event, values) == expected


def test_every_event_that_is_told_is_logged_somewhere() -> None:
    """An event that was renamed in the code would vanish from the dashboard."""
    sources = [p.read_text() for room in ("daemon", "replicator") for p in (ROOT / room).rglob("*.py")]
    logged = {e for text in sources for e in re.findall(r'(?:log\.\w+|tell|verified)\)?\(\s*"([^"]+)"', text)}
    logged |= {e for text in sources for e in re.findall(r'log\.warning\)\("([^"]+)"', text)}
    assert set(TOLD) - logged == set()


def test_it_keeps_the_last_and_numbers_them_on() -> None:
    """Memory is bounded; whoever asks for what is new gets what is new."""
    journal = Journal(kept=3)
    for number in range(5):
        journal.tell("daemon", f"text {number}")
    assert [event["number"] for event in journal.since()] == [3, 4, 5]
    assert [event["text"] for event in journal.since(4)] == ["text 4"]
    assert journal.last == 5
    assert journal.since(5) == []


def test_passwords_are_hidden_and_long_texts_cut() -> None:
    """What the log hides is hidden here too."""
    journal = Journal()
    journal.hear("error", "waiting", {"reason": "postgresql://u:hunter2@h/d is away " + "x" * 999})
    text = journal.since()[0]["text"]
    assert "hunter2" not in text
    assert len(text) <= 400


def test_it_hears_what_the_level_of_the_log_leaves_out() -> None:
    """An operator who logs errors only still sees the states on the dashboard."""
    journal = Journal()
    log.configure(level="error")
    try:
        with log.listening(journal.hear):
            structlog.get_logger("liteferry").info(
                "state", source="/a.db", state="streaming", before="snapshot"
            )
            structlog.get_logger("liteferry").debug("batch applied", rows=5)
        structlog.get_logger("liteferry").info("state", source="/a.db", state="paused", before="streaming")
    finally:
        log.configure()
    assert [event["text"] for event in journal.since()] == ["streaming, before snapshot"]
