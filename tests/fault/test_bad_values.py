"""Values that PostgreSQL cannot hold, under a rule for their column: copied, streamed, repaired, as keys."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.compare import differences
from tests.fault.scene import COPIERS, HASTY, settle, source_of
from tests.fault.test_quarantine import kept, quarantined, run
from tests.fixtures.cli import Liteferry
from tests.fixtures.daemon import StartDaemon
from tests.fixtures.sqlite import MakeSource

LATIN, NUL = "CAST(x'636166e9' AS TEXT)", "CAST(x'61005c783030' AS TEXT)"

SCHEMA = f"""
CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT, title TEXT, raw TEXT, any TEXT, doc TEXT, plain TEXT);
WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 3000)
    INSERT INTO note SELECT n, 'c:\\temp\\x41' || n, 'title ' || n, 'raw', 'any', '{{"n": 1}}', 'p' FROM i;
UPDATE note SET body = {LATIN}, title = {NUL}, raw = {NUL} WHERE id % 500 = 1;
UPDATE note SET body = {NUL}, title = {LATIN}, raw = x'00ff' WHERE id % 500 = 2;
UPDATE note SET any = x'00', doc = '["\\u0000", "\\ud800"]', raw = {LATIN} WHERE id % 500 = 3;
UPDATE note SET plain = {LATIN} WHERE id = 77;
CREATE TABLE tag(name TEXT, n, PRIMARY KEY (name, n)) WITHOUT ROWID;
INSERT INTO tag SELECT 'tag ' || id, id FROM note WHERE id < 300;
INSERT INTO tag VALUES ({LATIN}, 1), ({NUL}, 2), ('caf\\xe9', 3), ('caf\\x5cxe9', 4);
CREATE TABLE mixed(id INTEGER PRIMARY KEY, v);
INSERT INTO mixed VALUES (1, 1), (2, 'two'), (3, 3.5);
"""

RULES = """
[columns]
"note.doc" = "jsonb"
[bad_values]
"*.body" = "escape"
"note.title" = "replace"
"note.raw" = "bytea"
"note.any" = "quarantine"
"note.doc" = "replace"
"tag.*" = "escape"
"mixed.v" = "text"
"""

BECOME = {
    "note.body": "text escaped",
    "note.title": "text replaced",
    "note.raw": "bytea from any",
    "note.doc": "jsonb replaced",
    "tag.name": "text escaped",
    "mixed.v": "text",
}


def configured(folder: Path, rules: str = RULES) -> tuple[str, Path]:
    """Write the rules to a file; return the option for it."""
    path = folder / "liteferry.toml"
    path.write_text(rules)
    return "--config", path


@pytest.mark.parametrize("env", [{}, COPIERS], ids=["in the daemon", "by copiers"])
async def test_a_rule_goes_the_whole_way(
    env: dict[str, str], make_source: MakeSource, daemon: StartDaemon, target_url: str, tmp_path: Path
) -> None:
    """What was copied, streamed and repaired is what the rule says; the rest is kept aside."""
    path = make_source(script=SCHEMA)
    args = (*configured(tmp_path), "--batch-size", "100")
    running = daemon(path, target_url, env={**HASTY, **env}, args=args)
    await asyncio.to_thread(settle, running, path)
    await asyncio.to_thread(kept, running, 6 + 1)
    run(path, "UPDATE note SET any = 'mended' WHERE any = x'00'; UPDATE note SET plain = 'p' WHERE id = 77")
    await asyncio.to_thread(kept, running, 0)
    await asyncio.to_thread(settle, running, path)
    assert await differences(path, target_url, columns=BECOME) == []
    assert "a copier gave up" not in running.log or env == COPIERS

    run(
        path,
        f"UPDATE note SET body = {LATIN} WHERE id BETWEEN 10 AND 20; INSERT INTO note(title) VALUES ({NUL});"
        f"UPDATE tag SET n = n + 100 WHERE name = {LATIN}; DELETE FROM tag WHERE name = {NUL};"
        f"INSERT INTO tag VALUES ({NUL}, 9), (CAST(x'ff' AS TEXT), 8); UPDATE mixed SET v = 7 WHERE id = 2;"
        "DELETE FROM tag WHERE name = 'caf\\xe9'; UPDATE note SET raw = 'text' WHERE raw = x'00ff'",
    )
    await asyncio.to_thread(settle, running, path)
    assert await differences(path, target_url, columns=BECOME) == []
    report = await asyncio.to_thread(running.verify)
    assert report["equal"], report
    assert running.stop() == 0

    # the plan is remembered with its rules, and a comparison of everything finds nothing to do
    again = daemon(path, target_url, env={**HASTY, **env}, args=args)
    await asyncio.to_thread(settle, again, path)
    await asyncio.to_thread(again.wait_log, "all tables compared")
    assert source_of(again.status())["repaired_rows"] == 0
    run(path, f"DELETE FROM tag WHERE name = {LATIN}; UPDATE note SET title = {LATIN} WHERE id = 5")
    await asyncio.to_thread(settle, again, path)
    assert await differences(path, target_url, columns=BECOME) == []
    assert await quarantined(target_url) == []


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ('"tag.name" = "replace"', "bad_values.tag.name: 'replace': two rows could become one"),
        ('"tag.name" = "bytea"', "two rows could become one"),
        ('"note.id" = "escape"', "cannot be done to a column of type bigint"),
        ('"note.bodies" = "escape"', "there is no such column in any source"),
        ('"nowhere.*" = "escape"', "there is no such column in any source"),
        ('"note.doc" = "escape"', "cannot be done to a column of type jsonb"),
        ('"note.body" = "ignore"', "bad_values"),
    ],
)
def test_a_rule_that_cannot_be_is_an_error_of_the_plan(
    rule: str, reason: str, make_source: MakeSource, liteferry: Liteferry, tmp_path: Path
) -> None:
    """Before anything is opened on the other side."""
    rules = f'[columns]\n"note.doc" = "jsonb"\n[bad_values]\n{rule}\n'
    answer = liteferry("plan", make_source(script=SCHEMA), *configured(tmp_path, rules))
    assert answer.status == 2
    assert reason in answer.errors


def test_a_pattern_passes_over_what_it_cannot_be_done_to(
    make_source: MakeSource, liteferry: Liteferry, tmp_path: Path
) -> None:
    """Keys for `replace`, columns of numbers for both; the plan tells what is not kept."""
    source = make_source(script=SCHEMA)
    answer = liteferry("plan", source, *configured(tmp_path, '[bad_values]\n"*.*" = "replace"\n'), "--json")
    (told,) = answer.json["sources"]
    found = {c["name"]: c["conversion"] for t in told["tables"] for c in t["columns"]}
    assert (found["id"], found["body"], found["name"], found["v"]) == ("", "text replaced", "", "")
    script = liteferry("plan", source, "--config", tmp_path / "liteferry.toml").output
    assert "warning: note.body: text replaced: not kept: which characters U+FFFD stands for" in script
