"""A schema that Alembic has made on both sides is adopted, and Alembic finds it as it was."""

from __future__ import annotations

import asyncio
import datetime
from pathlib import Path

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations

from tests.catalogue import dump
from tests.databases import from_source, on_source, on_target
from tests.fault.scene import HASTY, settle
from tests.fault.test_existing_schema import settled
from tests.fixtures.daemon import StartDaemon
from tests.fixtures.sqlite import MakeSource

METADATA = sa.MetaData()
AUTHOR = sa.Table(
    "author",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(50), nullable=False, unique=True),
    sa.Column("active", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("born", sa.Date),
)
BOOK = sa.Table(
    "book",
    METADATA,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("author_id", sa.Integer, sa.ForeignKey("author.id", ondelete="CASCADE"), nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("price", sa.Numeric(10, 2)),
    sa.Column("added", sa.DateTime, nullable=False),
    sa.Column("facts", sa.JSON),
    sa.CheckConstraint("price >= 0", name="book_price"),
    sa.Index("book_title", "title"),
)

ROWS = (
    "SELECT id, name, active, born::text FROM author ORDER BY id",
    "SELECT id, author_id, title, price::float8, added::text, facts::text FROM book ORDER BY id",
)
SOURCE_ROWS = (
    "SELECT id, name, active, born FROM author ORDER BY id",
    "SELECT id, author_id, title, price, replace(added, '.000000', ''), facts FROM book ORDER BY id",
)


def upgrade(engine: sa.Engine) -> None:
    """Carry out the revision that makes the schema."""
    with engine.begin() as connection:
        operations = Operations(MigrationContext.configure(connection))
        operations.create_table(
            "author",
            sa.Column("id", sa.Integer(), primary_key=True),
            sa.Column("name", sa.String(50), nullable=False, unique=True),
            sa.Column("active", sa.Boolean(), nullable=False, server_default=sa.true()),
            sa.Column("born", sa.Date()),
        )
        operations.create_table(
            "book",
            sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
            sa.Column("author_id", sa.Integer(), nullable=False),
            sa.Column("title", sa.Text(), nullable=False),
            sa.Column("price", sa.Numeric(10, 2)),
            sa.Column("added", sa.DateTime(), nullable=False),
            sa.Column("facts", sa.JSON()),
            sa.CheckConstraint("price >= 0", name="book_price"),
            sa.ForeignKeyConstraint(["author_id"], ["author.id"], ondelete="CASCADE"),
        )
        operations.create_index("book_title", "book", ["title"])


def pending(engine: sa.Engine) -> list[object]:
    """Return what Alembic would still have to change, but for what is ours until the way back is given up."""
    with engine.connect() as connection:
        return list(compare_metadata(MigrationContext.configure(connection), METADATA))


def write(source: Path, first: int) -> None:
    """Write as an application with SQLAlchemy does."""
    engine = sa.create_engine(f"sqlite:///{source}", poolclass=sa.NullPool)
    added = datetime.datetime(2026, 2, 3, 4, 5, 6)
    with engine.begin() as connection:
        for n in range(first, first + 20):
            born = datetime.date(1900 + n, 1, 2)
            connection.execute(
                AUTHOR.insert(), {"id": n, "name": f"a{n}", "active": n % 2 == 0, "born": born}
            )
            facts = {"n": n} if n % 3 else None
            book = {"author_id": n, "title": f"t{n}", "price": n / 4, "added": added, "facts": facts}
            connection.execute(BOOK.insert(), book)


async def test_a_schema_made_by_alembic_is_as_alembic_left_it(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """Rows equal, the catalogue as before, and no change pending."""
    source = make_source(script="PRAGMA user_version = 1")
    target = sa.create_engine(
        target_url.replace("postgresql://", "postgresql+psycopg://"), poolclass=sa.NullPool
    )
    await asyncio.to_thread(upgrade, sa.create_engine(f"sqlite:///{source}", poolclass=sa.NullPool))
    await asyncio.to_thread(upgrade, target)
    assert await asyncio.to_thread(pending, target) == []
    before = await dump(target_url)
    await asyncio.to_thread(write, source, 1)
    running = daemon(source, target_url, env=HASTY, args=("--adopt",))
    await asyncio.to_thread(settle, running, source)
    await asyncio.to_thread(write, source, 21)
    on_source(source, "UPDATE book SET price = 1.25 WHERE id % 3 = 0; DELETE FROM book WHERE id % 7 = 0")
    await asyncio.to_thread(settle, running, source)
    await asyncio.to_thread(running.wait_ready)
    assert (await asyncio.to_thread(running.cutover, max_pause=30))["outcome"] == "cut_over"

    here = [[tuple(row) for row in from_source(source, query)] for query in SOURCE_ROWS]
    there = [on_target(target_url, query) for query in ROWS]
    assert [[tuple(map(plain, row)) for row in rows] for rows in there] == here
    await settled(target_url)
    after = await dump(target_url)
    assert {line for line in after if "liteferry_back_" not in line} == before
    assert await asyncio.to_thread(pending, target) == []


def plain(value: object) -> object:
    """Return a value as SQLite has it."""
    return int(value) if isinstance(value, bool) else value
