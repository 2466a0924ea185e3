"""Migrations as Django and Alembic carry them out: each step is a function of the file's path.

A scenario's first step makes the schema; whoever runs it installs what is to be tried after that, and
writes to the file between the steps.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from django import setup
from django.conf import settings
from django.db import models
from django.db.migrations import Migration
from django.db.migrations import operations as django
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models.functions import Lower
from django.db.utils import ConnectionHandler

Step = Callable[[Path], None]

APP = "shop"


@dataclass(frozen=True)
class Scenario:
    """The steps of an application's history, named by what they do."""

    name: str
    steps: tuple[tuple[str, Step], ...]

    @property
    def begin(self) -> Step:
        """Return the step that makes the schema."""
        return self.steps[0][1]


def configure() -> None:
    """Let Django be used without a project."""
    if not settings.configured:
        # the database that Django asks how long a name may be, and no more than that
        unused = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
        settings.configure(DATABASES=unused, DEFAULT_AUTO_FIELD="django.db.models.BigAutoField")
        setup()


def apply(path: Path, migrations: Sequence[Migration], number: int) -> None:
    """Apply one of Django's migrations to a file, the ones before it having been applied."""
    configure()
    state = ProjectState()
    for done in migrations[:number]:
        state = done.mutate_state(state)
    handler = ConnectionHandler({"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(path)}})
    with closing(handler["default"]) as connection, connection.schema_editor(atomic=True) as editor:
        migrations[number].apply(state, editor)


def django_scenario(name: str, *migrations: tuple[str, Sequence[Operation]]) -> Scenario:
    """Return the scenario of some migrations of one application."""
    made = []
    for number, (_, operations) in enumerate(migrations):
        kind = type(f"Migration{number}", (Migration,), {"operations": list(operations)})
        made.append(kind(f"{number:04}", APP))

    def step(number: int) -> Step:
        return lambda path: apply(path, made, number)

    return Scenario(name, tuple((what, step(number)) for number, (what, _) in enumerate(migrations)))


def alembic_scenario(name: str, *steps: tuple[str, Callable[[Operations], object]]) -> Scenario:
    """Return the scenario of some revisions, each in a transaction."""

    def step(upgrade: Callable[[Operations], object]) -> Step:
        def run(path: Path) -> None:
            engine = sa.create_engine(f"sqlite:///{path}", poolclass=sa.NullPool)
            with warnings.catch_warnings(), engine.begin() as connection:
                # a batch does not see indexes over expressions
                warnings.simplefilter("ignore", sa.exc.SAWarning)
                upgrade(Operations(MigrationContext.configure(connection)))

        return run

    return Scenario(name, tuple((what, step(upgrade)) for what, upgrade in steps))


def _id() -> models.BigAutoField[int, int]:
    return models.BigAutoField(primary_key=True, serialize=False)


def _shop() -> Iterable[Operation]:
    yield django.CreateModel(
        "Author",
        [
            ("id", _id()),
            ("name", models.CharField(max_length=50, unique=True)),
            ("mail", models.CharField(max_length=50, null=True)),
            ("rank", models.IntegerField(null=True)),
        ],
    )
    yield django.CreateModel(
        "Book",
        [
            ("id", _id()),
            ("author", models.ForeignKey(f"{APP}.Author", models.CASCADE, null=True)),
            ("title", models.CharField(max_length=50, default="a")),
            ("isbn", models.CharField(max_length=20, null=True)),
            ("shelf", models.IntegerField(null=True)),
        ],
    )
    yield django.CreateModel("Tag", [("word", models.CharField(max_length=20, primary_key=True))])


def _once(table: str, terms: str) -> Operation:
    """Return the operation that makes way for a constraint, as an application has to."""
    kept = f"SELECT min(id) FROM {APP}_{table} GROUP BY {terms}"
    return django.RunSQL(f"DELETE FROM {APP}_{table} WHERE id NOT IN ({kept})")


def _one_title() -> models.UniqueConstraint:
    return models.UniqueConstraint(fields=["title", "shelf"], name="one_title")


def _one_mail() -> models.UniqueConstraint:
    return models.UniqueConstraint(fields=["mail"], condition=models.Q(rank__gt=1), name="one_mail")


def _one_isbn() -> models.UniqueConstraint:
    return models.UniqueConstraint(Lower("isbn"), name="one_isbn")


DJANGO = (
    django_scenario(
        "django: fields",
        ("CreateModel", list(_shop())),
        (
            "AddField",
            [
                django.AddField("author", "age", models.IntegerField(null=True)),
                django.AddField("book", "pages", models.IntegerField(default=1)),
                django.AddField("book", "code", models.CharField(max_length=9, null=True, unique=True)),
            ],
        ),
        ("RenameField, unique", [django.RenameField("author", "name", "full_name")]),
        ("AlterField", [django.AlterField("book", "title", models.CharField(max_length=99, db_index=True))]),
        ("AlterField to unique", [django.AlterField("tag", "word", models.TextField(primary_key=True))]),
        ("RemoveField", [django.RemoveField("book", "pages"), django.RemoveField("author", "rank")]),
        ("RemoveField, unique", [django.RemoveField("book", "code")]),
        (
            "RenameField and RemoveField",
            [django.RenameField("book", "isbn", "number"), django.RemoveField("book", "number")],
        ),
        ("RemoveField, reference", [django.RemoveField("book", "author")]),
    ),
    django_scenario(
        "django: models",
        ("CreateModel", list(_shop())),
        ("AddConstraint", [_once("author", "mail"), django.AddConstraint("author", _one_mail())]),
        ("RenameModel", [django.RenameModel("Author", "Writer")]),
        (
            "CreateModel, AddField many to many",
            [
                django.CreateModel("Shelf", [("id", _id()), ("place", models.IntegerField(unique=True))]),
                django.AddField("book", "tags", models.ManyToManyField(f"{APP}.Tag")),
            ],
        ),
        ("AlterModelTable", [django.AlterModelTable("book", "volumes")]),
        ("RenameField of the reference", [django.RenameField("book", "author", "writer")]),
        (
            "AlterUniqueTogether",
            [
                django.RunSQL("DELETE FROM volumes WHERE rowid > 2"),
                django.AlterUniqueTogether("book", {("title", "shelf"), ("isbn", "title")}),
            ],
        ),
        ("AlterUniqueTogether again", [django.AlterUniqueTogether("book", set())]),
        ("DeleteModel", [django.RemoveField("book", "tags"), django.DeleteModel("Tag")]),
        ("RenameModel back", [django.RenameModel("Writer", "Author")]),
        ("DeleteModel, referred to", [django.RemoveField("book", "writer"), django.DeleteModel("Author")]),
    ),
    django_scenario(
        "django: constraints",
        ("CreateModel", list(_shop())),
        (
            "AddConstraint",
            [
                *(_once("book", "title, shelf"), _once("book", "lower(isbn)"), _once("author", "mail")),
                django.AddConstraint("book", _one_title()),
                django.AddConstraint("book", _one_isbn()),
                django.AddConstraint("author", _one_mail()),
            ],
        ),
        ("AddIndex", [django.AddIndex("book", models.Index(fields=["shelf"], name="by_shelf"))]),
        (
            "RemoveConstraint and RemoveField, expression",
            [django.RemoveConstraint("book", "one_isbn"), django.RemoveField("book", "isbn")],
        ),
        (
            "RemoveConstraint and RemoveField, partial",
            [
                django.RemoveConstraint("author", "one_mail"),
                django.RemoveField("author", "rank"),
                django.RemoveField("author", "mail"),
            ],
        ),
        (
            "RemoveConstraint, RemoveIndex and RemoveField",
            [
                django.RemoveConstraint("book", "one_title"),
                django.RemoveIndex("book", "by_shelf"),
                django.RemoveField("book", "shelf"),
            ],
        ),
    ),
)


def _tables(op: Operations) -> None:
    op.create_table(
        "account",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("mail", sa.String(50), nullable=True),
        sa.Column("nick", sa.String(50), nullable=True),
        sa.Column("age", sa.Integer, nullable=True),
    )
    op.create_table(
        "membership",
        sa.Column("code", sa.String(9), nullable=False),
        sa.Column("account_id", sa.Integer, sa.ForeignKey("account.id"), nullable=True),
        sa.Column("place", sa.Integer, nullable=True),
    )
    op.create_index("ix_mail", "account", ["mail"], unique=True)
    op.create_index("ix_code", "membership", ["code"], unique=True)
    op.create_index("ix_nick", "account", [sa.text("lower(nick)")], unique=True)
    op.create_index("ix_place", "membership", ["place"], unique=True, sqlite_where=sa.text("place > 2"))


def _drop(op: Operations, index: str, table: str, column: str) -> None:
    op.drop_index(index, table)
    op.drop_column(table, column)


def _batch(op: Operations) -> None:
    with op.batch_alter_table("account") as batch:
        batch.alter_column("age", type_=sa.Float)
        batch.add_column(sa.Column("born", sa.String(10), nullable=True))
        batch.create_unique_constraint("one_age", ["age", "born"])


def _batch_back(op: Operations) -> None:
    with op.batch_alter_table("account") as batch:
        batch.drop_constraint("one_age", type_="unique")
        batch.drop_column("born")


def _batch_always(op: Operations) -> None:
    # of several indexes a batch makes now this, now that one first, and errors name the first
    op.drop_index("ix_place", "membership")
    with op.batch_alter_table("membership", recreate="always") as batch:
        batch.alter_column("code", new_column_name="number")
    op.create_index("ix_place", "membership", ["place"], unique=True, sqlite_where=sa.text("place > 2"))


def _legacy(op: Operations) -> None:
    op.execute("PRAGMA legacy_alter_table = on")
    op.execute("ALTER TABLE account RENAME TO account_old")
    op.execute("CREATE TABLE account(id INTEGER PRIMARY KEY, mail VARCHAR(50) UNIQUE, age REAL)")
    op.execute("INSERT INTO account SELECT id, mail, age FROM account_old")
    op.execute("DROP TABLE account_old")
    op.execute("PRAGMA legacy_alter_table = off")


ALEMBIC = (
    alembic_scenario(
        "alembic: plain",
        ("create_table", _tables),
        ("add_column", lambda op: op.add_column("account", sa.Column("note", sa.Text))),
        ("drop_index, drop_column", lambda op: _drop(op, "ix_mail", "account", "mail")),
        ("the same of an expression", lambda op: _drop(op, "ix_nick", "account", "nick")),
        ("the same of a condition", lambda op: _drop(op, "ix_place", "membership", "place")),
        ("rename_table", lambda op: op.rename_table("account", "user")),
        ("create_index", lambda op: op.create_index("ix_age", "user", ["age"])),
        ("the same of the key", lambda op: _drop(op, "ix_code", "membership", "code")),
        ("drop_table", lambda op: op.drop_table("user")),
    ),
    alembic_scenario(
        "alembic: batch",
        ("create_table", _tables),
        ("batch, add a constraint", _batch),
        ("batch, drop it with its column", _batch_back),
        ("batch, recreate always", _batch_always),
        ("rename_table", lambda op: op.rename_table("membership", "members")),
        ("rename out of the way, in the old way", _legacy),
    ),
)

SCENARIOS = {scenario.name: scenario for scenario in (*DJANGO, *ALEMBIC)}
