"""The page about the command line says what the commands say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from daemon.cli.app import VERBS, cli, verb
from daemon.cli.options import EXIT_STATUS
from daemon.cli.reference import EXIT_MEANINGS, cli_markdown
from tests.fixtures.cli import Liteferry
from tests.processes import clean_environment

ROOT = Path(__file__).parents[2]


def test_the_written_page_is_current() -> None:
    """What stands in the repository is what the commands give now."""
    path = "docs/reference/cli.md"

    assert (ROOT / path).read_text() == cli_markdown(), f"run: python -m daemon.cli.reference > {path}"


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_is_documented(name: str) -> None:
    """Each has a heading, a text that ends in a full stop, and every option with a word about it."""
    command = verb(name)
    page = cli_markdown().split(f"\n## {name}\n")[1].split("\n## ")[0]
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]

    assert command.help and command.help.strip().endswith(".")
    assert all(option.help and f"`{option.opts[0]}" in page for option in options)


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_explains_itself(liteferry: Liteferry, name: str) -> None:
    """`--help` works without any setting."""
    answer = liteferry(name, "--help")

    assert answer.status == 0
    assert answer.output.startswith(f"Usage: liteferry {name}")


def test_every_exit_status_is_documented() -> None:
    """No command ends with a number that the page does not explain."""
    assert {status for _, status in EXIT_STATUS} <= EXIT_MEANINGS.keys()


def test_the_verbs_are_listed_in_the_order_of_use() -> None:
    """The list of verbs reads like the way one goes."""
    assert cli.list_commands(click.Context(cli)) == list(VERBS) == [verb(name).name for name in VERBS]


def test_a_question_does_not_import_the_engine() -> None:
    """`status` is asked every few seconds by health checks, beside the application."""
    program = "import sys, daemon.cli.app as app; app.verb('status'); print(*sys.modules, sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", program], env=clean_environment(), capture_output=True, text=True, check=True
    )

    assert not {"asyncpg", "daemon.supervisor", "replicator.pipeline"} & set(done.stdout.splitlines())
