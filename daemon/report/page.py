"""The page of a report: one file without any resource from elsewhere, which holds the report itself too."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from daemon.cli.text import count, duration, plural

STYLE = (Path(__file__).parent / "style.css").read_text(encoding="utf-8")

#: Nothing is loaded and nothing runs, whatever a table is called.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

_DATA = re.compile(r'<script type="application/json" id="report">(.*?)</script>', re.DOTALL)

Report = Mapping[str, Any]


def page(report: Report) -> str:
    """Return the page; the same one for the same report."""
    return "\n".join(_page(report)) + "\n"


def report_in(text: str) -> Any:
    """Return the report that a page holds, None when it holds none. Raises ValueError for a broken one."""
    found = _DATA.search(text)
    return json.loads(found[1]) if found else None


def _page(report: Report) -> Iterator[str]:
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>Verification: {_text(report['verdict'])}</title>"
    yield f"<style>\n{STYLE}</style>\n</head>\n<body>"
    yield "<h1>Verification of a migration from SQLite to PostgreSQL</h1>"
    yield f'<p class="verdict {_class(report["equal"])}">{_text(report["verdict"]).capitalize()}</p>'
    yield from _facts(report)
    for source in report["sources"]:
        yield from _source(source)
    yield from _list("What this run catches", report["catches"])
    yield from _list("What it cannot catch", report["misses"])
    yield f'<p class="dim">Digest over the content: <code>{_text(report["digest"])}</code>. '
    yield "Whether this file was changed since: <code>liteferry verify --check-report FILE</code>.</p>"
    # "<" ends no script this way, and is the same to JSON
    data = json.dumps(report, sort_keys=True).replace("<", "\\u003c")
    yield f'<script type="application/json" id="report">{data}</script>\n</body>\n</html>'


def _facts(report: Report) -> Iterator[str]:
    scope = "one table" if report["table"] else "all tables"
    facts = {
        "finished": report["finished_at"],
        "took": duration(report["seconds"]),
        "compared": f"{scope}, {report['kind']}" + (", with repair" if report["repair"] else ""),
        "asked for by": report["asked_by"] or "-",
        "run by": report["run_by"],
        "target": report["target"],
        "liteferry": report["version"],
        "id": report["id"],
    }
    yield from _definitions(facts)


def _source(source: Report) -> Iterator[str]:
    yield f"<h2>{_text(source['path'])}</h2>"
    yield from _definitions(
        {
            "schema": source["schema"],
            "state": source["state"],
            "id": source["id"],
            "positions": f"{count(source['position_before'])} to {count(source['position_after'])}",
            "in quarantine": plural(source["quarantined"], "row"),
            "kept aside on the way back": plural(sum(t["unreturned"] for t in source["tables"]), "row"),
        }
    )
    yield '<table>\n<tr><th>table</th><th class="n">SQLite</th><th class="n">PostgreSQL</th>'
    yield '<th class="n">differing</th><th class="n">repaired</th><th>checksum</th><th>verdict</th></tr>'
    for table in source["tables"]:
        yield _row(table)
    yield "</table>"
    yield from _list("Rows", [f"{t['name']}: {text}" for t in source["tables"] for text in t["details"]])
    again = [t for t in source["tables"] if t["taken_up"]]
    yield from _list("Gone on with after an interruption", map(_gone_on, again))
    structure = [(t["name"], one) for t in source["tables"] for one in t["structure"]]
    told = [f"{name}: {one['what']} {one['problem']}. {one['hint']}" for name, one in structure]
    yield from _list("Structure", told)


def _gone_on(table: Report) -> str:
    rows = f"{count(table['taken_up'])} compared before, {count(table['rechecked'])} of them again"
    return f"{table['name']}: {rows}, for they were touched since"


def _row(table: Report) -> str:
    found = table["missing"] + table["different"] + table["extra"]
    rows = table["compared_by"] in ("rows", "counts")
    cells = [count(n) if rows else "-" for n in (table["source_rows"], table["target_rows"])]
    cells += [count(found), count(table["repaired"])]
    word = "equal" if table["equal"] else "different"
    return (
        f"<tr><td>{_text(table['name'])}</td>"
        + "".join(f'<td class="n">{cell}</td>' for cell in cells)
        + f"<td><code>{_text(_checksum(table))}</code></td>"
        + f'<td class="{_class(table["equal"])}">{word} by {_text(table["compared_by"])}</td></tr>'
    )


def _checksum(table: Report) -> str:
    source, target = table["source_checksum"], table["target_checksum"]
    if source is None:
        return "-"
    return source[:16] if source == target else f"{source[:16]} / {target[:16]}"


def _definitions(facts: Mapping[str, object]) -> Iterator[str]:
    yield "<dl>"
    yield from (f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in facts.items())
    yield "</dl>"


def _list(title: str, entries: Iterable[str]) -> Iterator[str]:
    lines = [f"<li>{_text(entry)}</li>" for entry in entries]
    if lines:
        yield "\n".join([f"<h2>{_text(title)}</h2>", "<ul>", *lines, "</ul>"])


def _class(equal: bool) -> str:
    return "good" if equal else "bad"


def _text(value: object) -> str:
    return html.escape(str(value))
