"""The page about the command line says what the commands say."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from daemon.cli.app import VERBS, cli
from daemon.cli.options import EXIT_STATUS
from daemon.cli.reference import EXIT_MEANINGS, cli_markdown
from tests.fixtures.cli import Liteferry

ROOT = Path(__file__).parents[2]


def test_the_written_page_is_current() -> None:
    """What stands in the repository is what the commands give now."""
    path = "docs/reference/cli.md"

    assert (ROOT / path).read_text() == cli_markdown(), f"run: python -m daemon.cli.reference > {path}"


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: str(verb.name))
def test_every_verb_is_documented(verb: click.Command) -> None:
    """Each has a heading, a text that ends in a full stop, and every option with a word about it."""
    page = cli_markdown().split(f"\n## {verb.name}\n")[1].split("\n## ")[0]
    options = [parameter for parameter in verb.params if isinstance(parameter, click.Option)]

    assert verb.help and verb.help.strip().endswith(".")
    assert all(option.help and f"`{option.opts[0]}" in page for option in options)


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: str(verb.name))
def test_every_verb_explains_itself(liteferry: Liteferry, verb: click.Command) -> None:
    """`--help` works without any setting."""
    answer = liteferry(verb.name, "--help")

    assert answer.status == 0
    assert answer.output.startswith(f"Usage: liteferry {verb.name}")


def test_every_exit_status_is_documented() -> None:
    """No command ends with a number that the page does not explain."""
    assert {status for _, status in EXIT_STATUS} <= EXIT_MEANINGS.keys()


def test_the_verbs_are_listed_in_the_order_of_use() -> None:
    """The list of verbs reads like the way one goes."""
    assert cli.list_commands(click.Context(cli)) == [verb.name for verb in VERBS]
