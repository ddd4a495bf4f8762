"""Guessing passwords takes ever longer: each failure more doubles the wait before the next attempt.

Failures are counted by name, by address and by browser, in the database: a restart forgives nothing. An attempt from a
browser in which this very person logged in before counts against that browser alone (`browsers.py`), and waits for it
alone. So whoever guesses from elsewhere makes themselves wait, and the person whose name they guess for only where this
person never logged in before.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address
from math import ceil

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session as Transaction

from labeling_app.errors import Throttled
from labeling_app.store import Database
from labeling_app.store.retrying import retried
from labeling_app.store.tables import LoginFailure

REMEMBERED = timedelta(days=1)


@dataclass(frozen=True)
class Allowance:
    """How many failures are free, and the wait after them: the first one, doubled by each further, up to the most."""

    free: int
    first: timedelta
    most: timedelta

    def wait_after(self, failures: int) -> timedelta:
        """How long after its last failure nothing more is looked at."""
        if failures < self.free:
            return timedelta(0)
        doublings = min(failures - self.free, 30)  # a timedelta has an end
        return min(self.first * (1 << doublings), self.most)


# A person forgets, an office shares an address.
BY_NAME = Allowance(free=5, first=timedelta(seconds=30), most=timedelta(hours=1))
BY_ADDRESS = Allowance(free=30, first=timedelta(seconds=10), most=timedelta(minutes=15))
BY_BROWSER = Allowance(free=5, first=timedelta(seconds=30), most=timedelta(hours=1))


def keys_of(name: str, address: str, browser: str | None) -> dict[str, Allowance]:
    """What an attempt counts against.

    Args:
        browser: what names a browser in which this person logged in before; None for any other.
    """
    if browser is not None:
        return {f"browser:{browser}": BY_BROWSER}
    return {name_key(name): BY_NAME, f"address:{_network(address)}": BY_ADDRESS}


def name_key(name: str) -> str:
    return f"name:{name[:80]}"


@retried
def count_attempt(database: Database, allowed: dict[str, Allowance]) -> list[int]:
    """Count an attempt as a failure before it is looked at: many at once can't outrun the count. Returns its rows' ids.

    Raises:
        Throttled: the wait that earlier failures have earned isn't over; this attempt isn't counted.
    """
    with database.write() as transaction:
        now = database.now()
        transaction.execute(delete(LoginFailure).where(LoginFailure.at <= now - REMEMBERED))
        for key in sorted(allowed):
            database.one_at_a_time(transaction, key)
        _refuse_early(max(_left(transaction, key, allowance, now) for key, allowance in allowed.items()))
        counted = [LoginFailure(key=key, at=now) for key in allowed]
        transaction.add_all(counted)
        transaction.flush()
        return [one.id for one in counted]


def forgive(transaction: Transaction, attempts: list[int], keys: list[str]) -> None:
    """Take back the rows of an attempt that proved right, and all failures of these keys."""
    transaction.execute(delete(LoginFailure).where(LoginFailure.id.in_(attempts) | LoginFailure.key.in_(keys)))


def _left(transaction: Transaction, key: str, allowance: Allowance, now: datetime) -> timedelta:
    """How long nothing is looked at yet."""
    failures = select(func.count(), func.max(LoginFailure.at)).where(LoginFailure.key == key)
    count, last = transaction.execute(failures).one()
    return last + allowance.wait_after(count) - now if count else timedelta(0)


def _refuse_early(left: timedelta) -> None:
    if left > timedelta(0):
        raise Throttled(
            "There were too many attempts.",
            remedy=f"wait {in_words(left)}, or ask the lead for a new link.",
            seconds=max(1, round(left.total_seconds())),
        )


def in_words(time: timedelta) -> str:
    """Rounded up, so that who waits so long has waited long enough."""
    seconds = time.total_seconds()
    if seconds <= 90:
        return f"{ceil(seconds)} seconds"
    return f"{ceil(seconds / 60)} minutes"


def _network(address: str) -> str:
    """An IPv6 network of one customer holds more addresses than could be counted: it counts as one."""
    try:
        found = ip_address(address.split("%")[0])
    except ValueError:
        return address[:80]
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return f"{IPv6Address(int(found) >> 64 << 64)}/64"
    return str(found)
