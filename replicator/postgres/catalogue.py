"""What stands on the target under the names of a source's tables, before liteferry came; only read here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

import asyncpg

from triggers.identifier import quote
from triggers.statements import load

from .connections import Connection

SQL = load("replicator", "catalogue.sql")

_KINDS = {"p": "a partitioned table", "v": "a view", "m": "a materialized view", "f": "a foreign table"}

#: PostgreSQL's names for the types that can be filled, and ours.
_TYPES = {
    "int8": "bigint",
    "int4": "integer",
    "int2": "smallint",
    "float8": "double precision",
    "float4": "real",
    "numeric": "numeric",
    "bool": "boolean",
    "text": "text",
    "varchar": "varchar",
    "bpchar": "char",
    "bytea": "bytea",
    "timestamptz": "timestamptz",
    "timestamp": "timestamp",
    "date": "date",
    "time": "time",
    "uuid": "uuid",
    "jsonb": "jsonb",
    "json": "json",
    "inet": "inet",
    "cidr": "cidr",
    "macaddr": "macaddr",
    "_text": "text[]",
    "_varchar": "text[]",
}

#: How many digits of a second PostgreSQL keeps unless a type says fewer.
_FINEST = 6


@dataclass(frozen=True)
class TargetColumn:
    """A column of the target; of a domain, the type that is behind it."""

    name: str
    #: As PostgreSQL prints it, for people.
    declared: str
    type: str
    modifier: int = -1
    #: The quoted name of an enum type, and its labels.
    enum: str = ""
    labels: tuple[str, ...] = ()
    built_in: bool = True
    not_null: bool = False
    #: Whether an INSERT may leave it out, NOT NULL or not: a default, an identity.
    filled: bool = False
    generated: bool = False
    #: Whether its collation takes two texts for one only where they are the same.
    exact: bool = True

    @property
    def pg_type(self) -> str | None:
        """Return the type in the words of the configuration, None for one that liteferry cannot fill."""
        if self.enum:
            return "text"
        name = _TYPES.get(self.type) if self.built_in else None
        if name is None or self.modifier == -1:
            return {"varchar": "text", "char": None}.get(name or "", name)
        return self._limited(name)

    def _limited(self, name: str) -> str | None:
        if name in ("varchar", "char"):
            return f"{name}({self.modifier - 4})"
        if name == "numeric":
            precision, scale = (self.modifier - 4) >> 16 & 0xFFFF, (self.modifier - 4) & 0x7FF
            # since PostgreSQL 15 a scale may be below zero, or above the precision
            return f"numeric({precision},{scale})" if scale <= precision else None
        if name in ("timestamptz", "timestamp", "time"):
            return name if self.modifier == _FINEST else f"{name}({self.modifier})"
        return None

    @property
    def needed(self) -> bool:
        """Tell whether no row can be without a value for it."""
        return self.not_null and not self.filled and not self.generated


@dataclass(frozen=True)
class CheckConstraint:
    """A CHECK of a table."""

    name: str
    expression: str


@dataclass(frozen=True)
class TargetTable:
    """A table that was on the target before us."""

    schema: str
    name: str
    columns: tuple[TargetColumn, ...] = ()
    #: The columns of each unique index that tells rows apart at any moment.
    uniques: tuple[tuple[str, ...], ...] = ()
    checks: tuple[CheckConstraint, ...] = ()
    #: Why it cannot be filled, and how to mend that; names the table.
    obstacles: tuple[str, ...] = ()

    @property
    def qualified(self) -> str:
        """Return the quoted name."""
        return f"{quote(self.schema)}.{quote(self.name)}"

    def column(self, name: str) -> TargetColumn | None:
        """Return the column of that name; of another case where only one fits."""
        exact = next((c for c in self.columns if c.name == name), None)
        alike = [c for c in self.columns if c.name.casefold() == name.casefold()]
        return exact or (alike[0] if len(alike) == 1 else None)

    def is_unique(self, columns: Sequence[str]) -> bool:
        """Tell whether a unique index stands over exactly these columns, in whatever order."""
        return any(set(one) == set(columns) for one in self.uniques)


async def read(connection: Connection, schema: str, names: Sequence[str]) -> dict[str, TargetTable]:
    """Return what stands under some names of a schema, by name; indexes and the like are not meant."""
    rows = await connection.fetch(SQL["tables"], schema, list(names))
    oids = [row["oid"] for row in rows]
    columns = await _by_table(connection, "columns", oids)
    uniques = await _by_table(connection, "uniques", oids)
    checks = await _by_table(connection, "checks", oids)
    hindrances = await _hindrances(connection, oids)
    found = {}
    for row in rows:
        oid, name = row["oid"], row["name"]
        found[name] = TargetTable(
            schema,
            name,
            tuple(map(_column, columns.get(oid, ()))),
            tuple(tuple(r["columns"]) for r in uniques.get(oid, ())),
            tuple(CheckConstraint(r["name"], r["expression"]) for r in checks.get(oid, ())),
            (*await _obstacles(connection, schema, row), *hindrances.get(oid, ())),
        )
    return found


async def _by_table(
    connection: Connection, query: str, oids: Sequence[int]
) -> Mapping[int, list[asyncpg.Record]]:
    found: dict[int, list[asyncpg.Record]] = {}
    for row in await connection.fetch(SQL[query], list(oids)):
        found.setdefault(row["oid"], []).append(row)
    return found


def _column(row: asyncpg.Record) -> TargetColumn:
    facts = {name: value for name, value in row.items() if name != "oid"}
    return TargetColumn(**{**facts, "labels": tuple(row["labels"])})


async def _obstacles(connection: Connection, schema: str, row: asyncpg.Record) -> list[str]:
    name = f"{quote(schema)}.{quote(row['name'])}"
    if row["kind"] in _KINDS:
        return [f"{name} is {_KINDS[row['kind']]}, which cannot be filled: rename it"]
    if row["guarded"]:
        return [f"{name} is being filled by liteferry already"]
    if row["inherits"]:
        return [f"{name} takes part in inheritance or partitioning, and cannot be filled"]
    if not row["owned"]:
        role = quote(row["role"])
        owner = f"ALTER TABLE {name} OWNER TO {role} (or GRANT its owner TO {role})"
        return [f"{name} belongs to another role, and nothing of it can be put aside: {owner}"]
    return [text async for text in _contents(connection, name, row)]


async def _contents(connection: Connection, name: str, row: asyncpg.Record) -> AsyncIterator[str]:
    if await connection.fetchval(f"SELECT EXISTS (TABLE {name})"):
        yield f"{name} has rows already, and only empty tables are filled: TRUNCATE {name}, if they may go"
    if row["unlogged"]:
        yield f"{name} is unlogged, and a crash would empty it: ALTER TABLE {name} SET LOGGED"
    if row["update_rule"]:
        yield f"{name} has a rule ON UPDATE, with which rows cannot be merged: drop it until the cutover"


async def _hindrances(connection: Connection, oids: Sequence[int]) -> dict[int, list[str]]:
    """Return by table what keeps foreign keys from being put aside and sequences from being set."""
    found: dict[int, list[str]] = {}
    for row in await connection.fetch(SQL["references"], list(oids)):
        what = f"foreign key {quote(row['name'])} of {row['relation']} to {row['refers']} cannot be put aside"
        texts = found.setdefault(row["oid"], [])
        if row["partitioned"]:
            texts.append(f"{what}, for that is a partitioned table: drop it until the cutover")
        elif not row["owned"]:
            role = quote(row["role"])
            texts.append(
                f"{what}: ALTER TABLE {row['relation']} OWNER TO {role}, or drop it until the cutover"
            )
    for row in await connection.fetch(SQL["sequences"], list(oids)):
        if not row["allowed"]:
            grant = f"GRANT UPDATE ON SEQUENCE {row['sequence']} TO {quote(row['role'])}"
            text = f"sequence {row['sequence']} of column {row['column']!r} cannot be set: {grant}"
            found.setdefault(row["oid"], []).append(text)
    return found


async def sequences(connection: Connection, table: str) -> dict[str, str]:
    """Return the sequence behind each column of a table (quoted name) that has one."""
    oid = await connection.fetchval("SELECT $1::text::regclass::oid", table)
    return {row["column"]: row["sequence"] for row in await connection.fetch(SQL["sequences"], [oid])}
