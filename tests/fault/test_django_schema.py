"""A schema that Django's migrations have made on both sides is adopted, and is as Django left it."""

from __future__ import annotations

import asyncio
import datetime
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import operations as django
from django.db.migrations.state import ProjectState
from django.db.utils import ConnectionHandler

from tests.catalogue import dump
from tests.databases import on_source
from tests.fault.scene import HASTY, settle
from tests.fault.test_bad_values import configured
from tests.fault.test_existing_schema import settled
from tests.fidelity.migrations import APP, configure
from tests.fixtures.daemon import StartDaemon
from tests.fixtures.sqlite import MakeSource

OPERATIONS = (
    django.CreateModel(
        "Author",
        [
            ("id", models.BigAutoField(primary_key=True, serialize=False)),
            ("name", models.CharField(max_length=50, unique=True)),
            ("active", models.BooleanField(default=True)),
            ("token", models.UUIDField()),
            ("joined", models.DateTimeField()),
        ],
    ),
    django.CreateModel(
        "Book",
        [
            ("id", models.BigAutoField(primary_key=True, serialize=False)),
            ("author", models.ForeignKey(f"{APP}.Author", models.CASCADE)),
            ("title", models.TextField()),
            ("price", models.DecimalField(max_digits=8, decimal_places=2, null=True)),
            ("printed", models.DateField(null=True)),
            ("facts", models.JSONField(default=dict)),
            ("pages", models.PositiveIntegerField(default=1)),
        ],
        options={"indexes": [models.Index(fields=["title"], name="book_title")]},
    ),
)


def in_sqlite(path: Path) -> dict[str, Any]:
    """Return Django's settings for the source."""
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(path)}


def in_postgresql(url: str) -> dict[str, Any]:
    """Return Django's settings for the target."""
    parts = urlsplit(url)
    place = {"NAME": parts.path[1:], "USER": parts.username, "PASSWORD": parts.password or ""}
    return {"ENGINE": "django.db.backends.postgresql", "HOST": parts.hostname, "PORT": parts.port, **place}


@contextmanager
def connected(settings: dict[str, Any]) -> Iterator[tuple[BaseDatabaseWrapper, ProjectState]]:
    """Return Django's connection, and the models as the migrations have made them."""
    configure()
    state = ProjectState()
    for operation in OPERATIONS:
        operation.state_forwards(APP, state)
    with closing(ConnectionHandler({"default": settings})["default"]) as connection:
        yield connection, state


def migrate(settings: dict[str, Any]) -> None:
    """Make the schema."""
    with connected(settings) as (connection, _), connection.schema_editor(atomic=True) as editor:
        before = ProjectState()
        for operation in OPERATIONS:
            after = before.clone()
            operation.state_forwards(APP, after)
            operation.database_forwards(APP, editor, before, after)
            before = after


def write(settings: dict[str, Any], first: int) -> None:
    """Write by Django's own statements for these models."""
    with connected(settings) as (connection, state):
        for n in range(first, first + 15):
            joined = datetime.datetime(2026, 1, 1 + n % 28, 12, 0, 0, n * 1000, tzinfo=datetime.UTC)
            author = {"id": n, "name": f"author {n}", "active": n % 2 == 0, "joined": joined}
            insert(connection, state.apps.get_model(APP, "Author"), {**author, "token": uuid.UUID(int=n)})
            book = {"id": n, "author_id": n, "title": f"title {n}", "price": Decimal(n) / 4, "pages": n}
            printed = datetime.date(1950 + n, 3, 1) if n % 3 else None
            facts = {"n": n, "tags": ["a"]}
            insert(
                connection,
                state.apps.get_model(APP, "Book"),
                {**book, "printed": printed, "facts": facts},
            )


def insert(connection: BaseDatabaseWrapper, model: type[models.Model], values: dict[str, Any]) -> None:
    """Insert a row as the model would, with each field's own way of preparing its value."""
    fields = {field.attname: field for field in model._meta.concrete_fields}
    names = [str(fields[name].column) for name in values]
    ready = [fields[name].get_db_prep_save(value, connection) for name, value in values.items()]
    columns = ", ".join(map(connection.ops.quote_name, names))
    marks = ", ".join(["%s"] * len(ready))
    table = connection.ops.quote_name(model._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", ready)


def rows(settings: dict[str, Any]) -> list[list[tuple[Any, ...]]]:
    """Return all rows as Django's models read them, with each field's own way of understanding a value."""
    found = []
    with connected(settings) as (connection, state):
        for name in ("Author", "Book"):
            model = state.apps.get_model(APP, name)
            fields = model._meta.concrete_fields
            query = models.sql.Query(model)
            query.add_ordering("pk")
            compiler = query.get_compiler(connection=connection)
            found.append([tuple(row[: len(fields)]) for row in compiler.results_iter()])
    return found


#: What only a person can know: Django writes UTC into SQLite, and does not say so there.
SETTINGS = f"""
existing_tables = "adopt"

[columns]
"{APP}_author.joined" = "timestamptz from iso in UTC"
"""


async def test_a_schema_made_by_django_is_as_django_left_it(
    make_source: MakeSource, daemon: StartDaemon, target_url: str, tmp_path: Path
) -> None:
    """Its own models read the same rows on both sides, and the catalogue is as before."""
    source = make_source(script="PRAGMA user_version = 1")
    here, there = in_sqlite(source), in_postgresql(target_url)
    await asyncio.to_thread(migrate, here)
    await asyncio.to_thread(migrate, there)
    before = await dump(target_url)
    await asyncio.to_thread(write, here, 1)
    running = daemon(source, target_url, env=HASTY, args=configured(tmp_path, SETTINGS))
    await asyncio.to_thread(settle, running, source)
    await asyncio.to_thread(write, here, 16)
    on_source(source, f"UPDATE {APP}_book SET price = 1.25 WHERE id % 3 = 0")
    on_source(source, f"DELETE FROM {APP}_book WHERE id % 7 = 0")
    await asyncio.to_thread(settle, running, source)
    await asyncio.to_thread(running.wait_ready)
    assert (await asyncio.to_thread(running.cutover, max_pause=30))["outcome"] == "cut_over"

    assert await asyncio.to_thread(rows, there) == await asyncio.to_thread(rows, here)
    await settled(target_url)
    assert {line for line in await dump(target_url) if "liteferry_back_" not in line} == before
    # and the next row of Django's gets a key that is free
    await asyncio.to_thread(write_next, there)


def write_next(settings: dict[str, Any]) -> None:
    """Insert an author and leave the key to the database."""
    with connected(settings) as (connection, state):
        joined = datetime.datetime(2026, 5, 1, tzinfo=datetime.UTC)
        facts = {"name": "the next", "active": True, "token": uuid.uuid4(), "joined": joined}
        insert(connection, state.apps.get_model(APP, "Author"), facts)
