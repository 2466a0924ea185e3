"""Files of watched folders that are no sources: which of them to try now, and what was wrong with the others.

A file that this process has open in SQLite must not be looked into (see config.sources): callers tell which
those are, and look again only when all joining of the last look has begun.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import structlog

from config.errors import LiteferryError
from config.sources import has_magic, is_candidate, unreadable
from replicator.sources.presence import Identity

log = structlog.get_logger("liteferry.newcomers")

#: How soon a file is tried again that something keeps out which passes, such as a lock.
BUSY_SECONDS = 1.5
#: How soon one that was refused is, the first time; twice as long each time after.
REFUSED_SECONDS = 1.0
#: When a file is tried again though nothing about it has changed: the reason may lie elsewhere.
AT_LAST_SECONDS = 60.0

#: What can be seen of a file and its WAL without opening them: a commit changes it.
Sight: TypeAlias = tuple[int, ...]


@dataclass
class Verdict:
    """What became of the last try of a file."""

    sight: Sight
    text: str
    #: Not before, on the monotonic clock, even when the file has changed.
    again: float
    #: Then in any case.
    at_last: float
    refusals: int = 0
    #: Whether it has joined and failed since: then joining once more is no success yet.
    lost: bool = False

    def due(self, sight: Sight, now: float) -> bool:
        """Tell whether the file is to be tried again."""
        return now >= self.at_last or (now >= self.again and sight != self.sight)


class Newcomers:
    """Chooses the files to try, and remembers what was wrong with each."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._verdicts: dict[Path, Verdict] = {}
        self._sights: dict[Path, Sight] = {}

    @property
    def notices(self) -> list[str]:
        """Return what the operator should know about files that are not replicated."""
        return [f"{path}: {verdict.text}" for path, verdict in sorted(self._verdicts.items())]

    def choose(
        self,
        there: Mapping[Path, os.stat_result],
        taken: Collection[Identity],
        busy: Collection[Path] = (),
    ) -> list[Path]:
        """Return the files of a folder that begin as a database does and should be tried now.

        `taken` are those that are sources, or about to be, under whatever name; `busy` their paths, which are
        not among the others.
        """
        for path in self._verdicts.keys() - there.keys() - set(busy):
            del self._verdicts[path]
        known, chosen = set(taken), []
        for path, status in there.items():
            if self._wanted(path, status, known):
                known.add(Identity.of(status))
                chosen.append(path)
        return chosen

    def _wanted(self, path: Path, status: os.stat_result, taken: Collection[Identity]) -> bool:
        sight = self._sights[path] = _sight(path, status)
        verdict = self._verdicts.get(path)
        if verdict is not None and not verdict.due(sight, self._clock()):
            return False
        if Identity.of(status) in taken:
            self.refused(path, "is another name of a source, which is followed under its first one only")
            return False
        if status.st_size == 0:
            self.waits(path, "is empty so far; it joins with its first table")
            return False
        return self._begins_well(path)

    def _begins_well(self, path: Path) -> bool:
        try:
            if has_magic(path):
                return True
            self.refused(path, "is no SQLite database: it does not begin with 'SQLite format 3'")
        except OSError as error:
            self.refused(path, str(unreadable(path, error)))
        return False

    def joined(self, path: Path) -> None:
        """Forget what was wrong with a file that is a source now, unless it was one before."""
        if path in self._verdicts and not self._verdicts[path].lost:
            del self._verdicts[path]

    def settled(self, path: Path) -> None:
        """Forget what was wrong with a source that streams."""
        self._verdicts.pop(path, None)

    def lost(self, path: Path, error: LiteferryError) -> None:
        """Note why a file that had joined is a source no more."""
        self.refused(path, f"has joined, but could not be copied: {error}", error.hint)
        self._verdicts[path].lost = True

    def waits(self, path: Path, text: str) -> None:
        """Note that a file is no source yet, which is no error."""
        self._note(path, text, 0, 0, AT_LAST_SECONDS, log.info)

    def failed(self, path: Path, error: LiteferryError) -> None:
        """Note why a file did not become a source."""
        if error.retryable:
            text = f"cannot be taken in yet: {error}"
            self._note(path, text, 0, BUSY_SECONDS, BUSY_SECONDS, log.warning)
        else:
            self.refused(path, f"is not replicated: {error}", error.hint)

    def refused(self, path: Path, text: str, hint: str = "") -> None:
        """Note that a file cannot be a source as it is."""
        before = self._verdicts.get(path)
        refusals = before.refusals + 1 if before is not None else 1
        pause = min(REFUSED_SECONDS * 2 ** (refusals - 1), AT_LAST_SECONDS)
        full = f"{text} ({hint})" if hint else text
        self._note(path, full, refusals, pause, AT_LAST_SECONDS, log.warning)

    def _note(
        self,
        path: Path,
        text: str,
        refusals: int,
        again: float,
        at_last: float,
        tell: Callable[..., object],
    ) -> None:
        before, now = self._verdicts.get(path), self._clock()
        if before is None or before.text != text:
            tell("a file of a watched folder is no source", path=str(path), reason=text)
        # what was seen before the try: a commit during it must not go unnoticed
        sight, lost = self._sights.get(path, ()), before is not None and before.lost
        self._verdicts[path] = Verdict(sight, text, now + again, now + at_last, refusals, lost)


def files(folders: Iterable[Path], known: Collection[Path]) -> dict[Path, os.stat_result]:
    """Return the files of folders that could be databases by their names, but for those that are known."""
    found = {}
    for folder in folders:
        # a folder that is gone: its sources are missing then, and that is told of them
        with suppress(OSError):
            for path in sorted(folder.iterdir()):
                if is_candidate(path) and path not in known:
                    with suppress(OSError):
                        status = path.stat()
                        if stat.S_ISREG(status.st_mode):
                            found[path] = status
    return found


def _sight(path: Path, status: os.stat_result) -> Sight:
    seen = [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]
    try:
        wal = os.stat(f"{os.path.realpath(path)}-wal")
        seen += [wal.st_size, wal.st_mtime_ns]
    except OSError:
        pass
    return tuple(seen)
