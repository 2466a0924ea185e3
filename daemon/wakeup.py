"""Wake-up calls when an application writes to a source: file events of the source's folder.

They only save waiting: what counts is the caller's own look at the database, which it takes on every timeout
as well. So a lost event costs one poll interval, and where no events are to be had (the system's watches are
used up, a network file system) everything works, a little later.

A file event costs Python some 80 microseconds in three threads. Under an application that commits thousands
of times a second that would be a third of a core to learn what is known already, so a folder with too many
events is not watched for a second; its busy sources are then reported as changed at a fixed pace.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog
from watchdog.events import (
    EVENT_TYPE_CREATED,
    EVENT_TYPE_DELETED,
    EVENT_TYPE_MOVED,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch
from watchdog.observers.polling import PollingObserver

from config.sources import SIDE_FILES, is_candidate

log = structlog.stdlib.get_logger(__name__)

# opening and reading are left out: our own reading would wake us
EVENTS: list[type[FileSystemEvent]] = [FileCreatedEvent, FileDeletedEvent, FileModifiedEvent, FileMovedEvent]
# after one of these another file, or none, may stand under a source's name
LEAVING = (EVENT_TYPE_DELETED, EVENT_TYPE_MOVED, EVENT_TYPE_CREATED)
# -shm is left out: our own read connection creates it
WATCHED_ENDS = ("", "-wal", "-journal")

POLL_FOLDER_EVERY = 1.0  # seconds, where the system gives no events
BUSY_EVENTS = 100  # events of one folder within BUSY_WINDOW from which on it is left alone
BUSY_WINDOW = 0.5  # seconds
BUSY_SHARE = 10  # events in the window that make a single source a busy one
BUSY_REST = 1.0  # seconds without watching, then it is tried again
BUSY_PACE = 0.005  # seconds between the wake-ups of a busy source meanwhile


class _Signal:
    """The flag of one source; raised by the watching thread, lowered by whoever waits."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        # true from the moment that raising is scheduled: further file events then cost one comparison
        self.raised = False
        self.hits = 0
        self.busy_until = 0.0
        self.next_wake = 0.0

    def lower(self) -> None:
        self.event.clear()
        # after clear(): an event in between is dropped, but the caller has its look at the database before it
        self.raised = False


class _Folder(FileSystemEventHandler):
    """One watched folder; `dispatch` runs in the watching thread."""

    def __init__(self, path: Path, wakeup: Wakeup) -> None:
        self.path, self.wakeup = path, wakeup
        self.watch: ObservedWatch | None = None
        self.signals: dict[str, _Signal] = {}
        self.window_start, self.events = 0.0, 0

    def dispatch(self, event: FileSystemEvent) -> None:
        self.wakeup.events += 1
        for path in (event.src_path, event.dest_path):
            signal = self.signals.get(path)  # type: ignore[arg-type]
            if signal is not None:
                signal.hits += 1
                if not signal.raised:
                    signal.raised = True
                    self.wakeup._call(signal.event.set)
            if path and (signal is None or event.event_type in LEAVING):
                self.wakeup._tell(str(path))
        self._count()

    def _count(self) -> None:
        self.events += 1
        now = time.monotonic()
        if now - self.window_start > BUSY_WINDOW:
            self._new_window(now)
        elif self.events > BUSY_EVENTS:
            for signal in self.signals.values():
                if signal.hits >= BUSY_SHARE:
                    signal.busy_until = now + BUSY_REST
            self.wakeup._rest(self)
            self._new_window(now)

    def _new_window(self, now: float) -> None:
        self.window_start, self.events = now, 0
        for signal in self.signals.values():
            signal.hits = 0


class Wakeup:
    """Watch the folders of sources while open; wait for changes with `wait`.

    *folders* are those in which new databases are looked for; *on_news* is called on the event loop when
    something happens to a file there that could be one, and when a source's name is given to a file or taken
    from one. It says neither what nor whether it matters: no file is looked into here, see config.sources.
    """

    def __init__(
        self,
        sources: Iterable[Path],
        folders: Iterable[Path] = (),
        on_news: Callable[[], None] | None = None,
    ) -> None:
        self.events = 0  # file events handled, for the curious
        self._sources = list(sources)
        self._searched = set(folders)
        self._on_news = on_news
        self._told = False
        self._signals: dict[Path, _Signal] = {}
        self._names: set[str] = set()
        self._folders: dict[Path, _Folder] = {}
        self._observer: BaseObserver | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __aenter__(self) -> Self:
        # it reports each end of a watch, which is our daily bread here, as an error
        logging.getLogger("watchdog.observers.inotify").setLevel(logging.CRITICAL)
        self._loop = asyncio.get_running_loop()
        for path in self._sources:
            self._register(path)
        for folder in self._searched:
            self._folders.setdefault(folder, _Folder(folder, self))
        self._observer = self._start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        observer, self._observer, self._loop = self._observer, None, None
        if observer is not None:
            await asyncio.to_thread(_stop, observer)

    @property
    def watching(self) -> bool:
        """Tell whether file events come; without them `wait` only times out."""
        return self._observer is not None

    async def wait(self, path: Path, timeout: float) -> bool:  # noqa: ASYNC109 - answers, raises not
        """Return True once the source may have changed, False when *timeout* seconds pass without a sign.

        Changes since the last return count, so nothing is lost between two calls. Look at the database after
        either answer.
        """
        signal = self._signals[path]
        if time.monotonic() < signal.busy_until:
            return await self._pace(signal, timeout)
        try:
            async with asyncio.timeout(timeout):
                await signal.event.wait()
        except TimeoutError:
            return False
        signal.lower()
        return True

    def add(self, path: Path) -> None:
        """Watch one more source from now on."""
        folder = self._register(path)
        if self._observer is not None and folder.watch is None:
            self._arm(folder)

    async def _pace(self, signal: _Signal, longest: float) -> bool:
        pause = signal.next_wake - time.monotonic()
        # 0 gives the loop its turn
        await asyncio.sleep(min(max(pause, 0), longest))
        signal.next_wake = time.monotonic() + BUSY_PACE
        signal.lower()
        return True

    def _register(self, path: Path) -> _Folder:
        signal = self._signals[path] = _Signal()
        self._names.add(str(path))
        folder = self._folders.setdefault(path.parent, _Folder(path.parent, self))
        folder.signals |= {f"{path}{end}": signal for end in WATCHED_ENDS}
        return folder

    def _start(self) -> BaseObserver | None:
        try:
            return self._started(Observer)
        except OSError as error:
            log.warning(
                "file events are not available; polling instead",
                reason=error.strerror or str(error),
                hint="raise fs.inotify.max_user_instances and fs.inotify.max_user_watches",
            )
        with suppress(OSError):
            return self._started(lambda: PollingObserver(timeout=POLL_FOLDER_EVERY))
        return None

    def _started(self, make: Callable[[], BaseObserver]) -> BaseObserver:
        observer = make()
        try:
            for folder in self._folders.values():
                folder.watch = observer.schedule(folder, str(folder.path), event_filter=EVENTS)
            observer.start()
        except OSError:
            _stop(observer)
            raise
        return observer

    def _call(self, callback: Callable[..., object], *arguments: object) -> None:
        """Run *callback* on the loop; nothing when the loop is gone."""
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(callback, *arguments)

    def _rest(self, folder: _Folder) -> None:
        """Leave a folder alone for a while; runs in the watching thread, where watchdog allows it."""
        observer, watch, loop = self._observer, folder.watch, self._loop
        if isinstance(observer, PollingObserver) or observer is None or watch is None or loop is None:
            return
        folder.watch = None
        observer.unschedule(watch)
        self._call(loop.call_later, BUSY_REST, self._arm, folder)

    def _arm(self, folder: _Folder) -> None:
        observer = self._observer
        if observer is None or folder.watch is not None:
            return
        try:
            folder.watch = observer.schedule(folder, str(folder.path), event_filter=EVENTS)
            # what was missed meanwhile
            self._tell_now()
        except OSError as error:
            log.warning("folder is no longer watched; polling", folder=str(folder.path), reason=str(error))

    def _tell(self, path: str) -> None:
        """Pass on that something happened to a file of note; runs in the watching thread."""
        plain = next((path.removesuffix(end) for end in SIDE_FILES if path.endswith(end)), path)
        if plain in self._names:
            # its side files come and go with every commit
            if plain == path:
                self._tell_now()
        elif (file := Path(plain)).parent in self._searched and is_candidate(file):
            self._tell_now()

    def _tell_now(self) -> None:
        if self._on_news is not None and not self._told:
            # until it is heard, whatever else happens costs one comparison
            self._told = True
            self._call(self._hear)

    def _hear(self) -> None:
        self._told = False
        if self._on_news is not None:
            self._on_news()


def _stop(observer: BaseObserver) -> None:
    observer.stop()
    if observer.is_alive():
        observer.join()
