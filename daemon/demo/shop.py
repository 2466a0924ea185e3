"""What the shop does: small transactions of every kind on its six tables."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from .store import STATEMENTS, SqliteStore, Store


@dataclass(frozen=True)
class Size:
    """How much business a shop begins with."""

    customers: int
    products: int
    orders: int
    events: int

    @classmethod
    def times(cls, factor: float) -> Size:
        """Return a multiple of the usual size, which makes 160,000 rows."""
        usual = (15_000, 4_000, 35_000, 20_000)
        return cls(*(max(100, round(number * factor)) for number in usual))


#: Addresses and settings that one branch uses again and again.
GUESTS = 50
SETTINGS = 40

STATUSES = ("paid", "packed", "shipped", "returned")


def open_shop(path: Path, branches: int, size: Size) -> int:
    """Create the file with some years of business in it; return the number of its last event."""
    with closing(SqliteStore(path)) as store:
        store.connection.execute("PRAGMA journal_mode = wal")
        store.connection.executescript(STATEMENTS["schema"])
        with store.transaction():
            store.run("seed_customers", size.customers, branches)
            store.run("seed_products", size.products)
            store.run("seed_orders", size.orders, size.customers)
            store.run("seed_items", size.products)
            store.run("seed_events", size.events)
        return int(store.run("last_event")[0][0])


def now() -> str:
    """Return the time in UTC as the shop writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


Work = Callable[[Store], None]


@dataclass
class Branch:
    """One branch with customers of its own, so that branches seldom meet; products are shared."""

    number: int
    size: Size
    chance: random.Random
    done: int = 0

    def transact(self, store: Store) -> None:
        """Carry out one transaction of some kind and record it, inside a transaction."""
        (work,) = self.chance.choices(self._kinds, self._weights)
        work(self, store)
        self.done += 1
        payload = {"branch": self.number, "number": self.done, "what": work.__name__}
        store.run("add_event", now(), json.dumps(payload))

    def order(self, store: Store) -> None:
        """Sell some products."""
        for customer in self._customer(store):
            [(order,)] = store.run("add_order", customer, now())
            # in one order for all branches: else two of them could wait for each other's rows
            for line, product in enumerate(sorted(self.chance.sample(range(1, self.size.products), 3)), 1):
                quantity = self.chance.randint(1, 5)
                store.run("add_item", order, line, quantity, product)
                store.run("take_stock", product, quantity)

    def handle(self, store: Store) -> None:
        """Take an order on to its next step."""
        for order in self._order(store):
            store.run("set_status", order, self.chance.choice(STATUSES))

    def cancel(self, store: Store) -> None:
        """Delete an order with its items."""
        for order in self._order(store):
            store.run("delete_order", order)

    def rearrange(self, store: Store) -> None:
        """Move the first item of an order to its end."""
        for order in self._order(store):
            store.run("move_item", order)

    def register(self, store: Store) -> None:
        """Take a new customer in."""
        store.run("add_customer", *self._person(f"new{self.chance.getrandbits(60):x}@example.org"))

    def replace(self, store: Store) -> None:
        """Take a guest in over the one of the same address."""
        address = f"guest{self.chance.randrange(GUESTS)}@branch{self.number}.example.org"
        store.run("replace_guest", *self._person(address))

    def subscribe(self, store: Store) -> None:
        """Turn a customer's newsletter on or off."""
        for customer in self._customer(store):
            store.run("toggle_newsletter", customer)

    def renumber(self, store: Store) -> None:
        """Change a customer's key."""
        for customer in self._customer(store):
            # a key that SQLite could give out again must stay, or it might be taken on the way back
            if abs(customer) < self.size.customers // 2:
                store.run("renumber_customer", customer)

    def forget(self, store: Store) -> None:
        """Delete a customer with all orders."""
        for customer in self._customer(store):
            store.run("delete_customer", customer)

    def price(self, store: Store) -> None:
        """Change one price."""
        store.run("set_price", self._product(), self.chance.uniform(0.01, 1000))

    def inflate(self, store: Store) -> None:
        """Change fifty prices."""
        first = self._product()
        store.run("raise_prices", first, first + 49, self.chance.choice((1.01, 1 / 1.01)))

    def photograph(self, store: Store) -> None:
        """Change a picture, or take it away."""
        size = self.chance.choice((0, 300, 2000))
        store.run("set_picture", self._product(), self.chance.randbytes(size) if size else None)

    def describe(self, store: Store) -> None:
        """Change a product's attributes."""
        attributes = {"colour": "rot 🚲", "weight": self.chance.random(), "tags": ["new", None, True]}
        text = json.dumps(attributes, ensure_ascii=self.chance.random() < 0.5)
        store.run("set_attributes", self._product(), text)

    def swap(self, store: Store) -> None:
        """Let two products swap their unique names, by way of a third name."""
        one, two = sorted(self.chance.sample(range(1, self.size.products), 2))
        [(first,)], [(second,)] = store.run("get_sku", one), store.run("get_sku", two)
        for product, sku in ((one, f"{first} on its way"), (two, first), (one, second)):
            store.run("set_sku", product, sku)

    def limit(self, store: Store) -> None:
        """Offer a product that comes and goes, or end the offer."""
        sku = f"LIMITED-{self.number}-{self.chance.randrange(GUESTS)}"
        if self.chance.random() < 0.3:
            store.run("drop_limited", sku)
        else:
            store.run("put_limited", sku, self.chance.uniform(1, 100))

    def configure(self, store: Store) -> None:
        """Set a setting, or forget it."""
        key = f"branch {self.number}/größe {self.chance.randrange(SETTINGS)}"
        kind = self.chance.choice(("put_setting", "put_setting", "replace_setting", "drop_setting"))
        store.run(kind, *((key,) if kind == "drop_setting" else (key, f"{self.chance.random()}\n\\N")))

    def _customer(self, store: Store) -> list[int]:
        return [row[0] for row in store.run("pick_customer", self.number, self._start())]

    def _order(self, store: Store) -> list[int]:
        return [row[0] for row in store.run("pick_order", self.number, self._start())]

    def _start(self) -> int:
        return self.chance.randrange(-self.size.customers // 2, self.size.customers)

    def _product(self) -> int:
        return self.chance.randint(1, self.size.products)

    def _person(self, email: str) -> tuple[int, str, str, bool, str | None]:
        born = date(1940, 1, 1) + timedelta(days=self.chance.randrange(25_000))
        name = self.chance.choice(("Zoë Müller", 'O\'Neill "Bob"', "李小龍", ""))
        known = self.chance.random() < 0.8
        return self.number, email, name, self.chance.random() < 0.5, born.isoformat() if known else None

    _kinds = (
        *(order, handle, cancel, rearrange, register, replace, subscribe, renumber, forget),
        *(price, inflate, photograph, describe, swap, limit, configure),
    )
    _weights = (24, 20, 4, 5, 10, 5, 5, 3, 2, 6, 1, 3, 3, 2, 4, 8)
