"""How the driver carries values for which its own ways will not do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import asyncpg

#: Types that travel as one integer: microseconds or days since 2000, or since midnight.
_COUNTS = ("timestamptz", "timestamp", "date", "time")


async def set_codecs(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Have times arrive and leave as integers, and MAC addresses in binary COPY at all.

    The driver's datetimes end where Python's do, and it takes the first and the last of them for -infinity
    and infinity.
    """
    for name in _COUNTS:
        await _set(connection, name, lambda count: (count,), lambda told: told[0], "tuple")
    await _set(connection, "macaddr", _six_bytes, lambda raw: bytes(raw).hex(":"), "binary")


async def _set(
    connection: asyncpg.Connection[asyncpg.Record],
    name: str,
    encode: Callable[[Any], Any],
    decode: Callable[[Any], Any],
    form: str,
) -> None:
    await connection.set_type_codec(name, schema="pg_catalog", encoder=encode, decoder=decode, format=form)


def _six_bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))
