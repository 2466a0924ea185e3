"""What the pages say of files, headings and commands is so."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from urllib.parse import unquote

import click
import pytest

from daemon.cli.app import cli
from daemon.hooks import SECRETS
from tests.docs import pages
from tests.docs.pages import ROOT

PAGES = pages.all_pages()


def name(page: Path) -> str:
    """Return a page's name below the root."""
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    """Files exist, and headings in them."""
    broken = []
    for link in pages.links(page):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in pages.anchors(target)):
            broken.append(link)

    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_is_one(page: Path) -> None:
    """Verbs and options are known, and their values are taken."""
    wrong = {line: reason for line, words in pages.commands(page) if (reason := refusal(words))}

    assert wrong == {}


def refusal(words: list[str]) -> str:
    """Return why the command line does not take these arguments; empty when it does."""
    command: click.Command = cli
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(click.Context(command), words[0])
        if found is None:
            return f"no such command: {words[0]}"
        command, words = found, words[1:]
    if isinstance(command, click.Group) and not words:  # named, not called
        return ""
    try:
        command.make_context(command.name, list(words))
    except click.exceptions.Exit:  # --help, --version
        return ""
    except click.ClickException as error:
        return error.format_message()
    return ""


def test_commands_are_found_and_wrong_ones_refused() -> None:
    """The tests above look at what they should."""
    found = [words for page in PAGES for _, words in pages.commands(page)]

    assert len(found) > 80
    assert {words[0] for words in found} >= {
        "check",
        "plan",
        "run",
        "status",
        "verify",
        "cutover",
        "rollback",
    }
    assert refusal(["cutover", "--wiat"]) and refusal(["quarantine", "shout"]) and refusal(["fly"])


def test_the_index_names_every_page() -> None:
    """Whoever begins at docs/README.md finds all there is."""
    index = ROOT / "docs" / "README.md"
    named = {(index.parent / link.partition("#")[0]).resolve() for link in pages.links(index)}

    assert [name(page) for page in PAGES if page.parent != ROOT and page != index and page not in named] == []


def test_a_block_that_no_test_runs_says_why() -> None:
    """On the pages whose blocks are run in order."""
    silent = [
        str(block)
        for page in ("docs/howto/migration.md", "docs/quickstart.md")
        for block in pages.blocks(ROOT / page)
        if block.language == "sh"
        and block.remark.startswith("not run")
        and len(block.remark) < len("not run: x")
    ]

    assert silent == []


def test_every_variable_of_the_hooks_is_documented() -> None:
    """What a command of the operator's is given is on the page about hooks, and what is kept from it too."""
    text = (ROOT / "docs" / "howto" / "hooks.md").read_text()
    variables = {f"LITEFERRY_{fact.upper()}" for fact in facts()} | {"LITEFERRY_EVENT", *SECRETS}

    assert {"LITEFERRY_SOURCES", "LITEFERRY_REHEARSAL", "LITEFERRY_REASON"} <= variables
    assert [variable for variable in sorted(variables) if f"`{variable}`" not in text] == []


def facts() -> set[str]:
    """Return the names of all facts that hooks are given, read from the code that gathers them."""
    tree = ast.parse((ROOT / "daemon" / "turns.py").read_text())
    [gathers] = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == "_facts"]
    keys = {
        key.value
        for n in ast.walk(gathers)
        if isinstance(n, ast.Dict)
        for key in n.keys
        if isinstance(key, ast.Constant)
    }
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "attr", "") == "_facts"]
    return {str(key) for key in keys} | {word.arg for call in calls for word in call.keywords if word.arg}
