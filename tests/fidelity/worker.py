"""An application in a process of its own, so that it can bring another SQLite than the product's."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

from .twin import Twin


class Crashed(Exception):
    """The worker was killed by a fault in its SQLite; there is another one by now."""


class Worker:
    """A process that lives one life after the other; the files of each are new."""

    def __init__(self, library: Path | None = None) -> None:
        """Start it; `library` is a folder with another libsqlite3.so.0."""
        self._library = library
        self._start()
        self.over = False
        self.version = self.ask("version")

    def _start(self) -> None:
        library = self._library
        environment = {**os.environ, **({"LD_LIBRARY_PATH": str(library)} if library else {})}
        command = [sys.executable, "-m", "tests.fidelity.worker"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def ask(self, what: str, *with_: object) -> Any:
        """Have something done there and return its result."""
        requests, answers = self._process.stdin, self._process.stdout
        assert requests is not None
        assert answers is not None
        requests.write(json.dumps([what, *with_]) + "\n")
        requests.flush()
        answer = answers.readline()
        if not answer:
            self.close()
            self._start()
            raise Crashed
        result, self.over = json.loads(answer)
        return result

    def prepare(self, statements: Sequence[str]) -> None:
        """Run what is there before the capture is installed."""
        self.ask("prepare", list(statements))

    def settle(self, statements: Sequence[str]) -> None:
        """Run what comes between the capture and the bursts."""
        self.ask("settle", list(statements))

    def live(self, burst: Sequence[str]) -> str | None:
        """Run a burst on both files; return what differs."""
        told: str | None = self.ask("live", list(burst))
        return told

    @contextmanager
    def stage(self) -> Iterator[tuple[Worker, sqlite3.Connection]]:
        """Open new files there, and the captured one here."""
        with TemporaryDirectory() as folder:
            captured, plain = f"{folder}/captured.db", f"{folder}/plain.db"
            self.ask("open", captured, plain)
            try:
                with closing(sqlite3.connect(captured, isolation_level=None)) as source:
                    source.execute("PRAGMA synchronous = off")
                    yield self, source
            finally:
                self.ask("close")

    def crashes(self, statements: Sequence[str], bursts: Sequence[Sequence[str]]) -> bool:
        """Tell whether SQLite crashes without any capture as well."""
        with TemporaryDirectory() as folder:
            self.ask("open", f"{folder}/one.db", f"{folder}/other.db")
            try:
                self.prepare(statements)
                self.settle([])
                for burst in bursts:
                    self.live(burst)
            except Crashed:
                return True
            self.ask("close")
            return False

    def close(self) -> None:
        """End the process."""
        with suppress(BrokenPipeError):
            self._process.communicate()


def serve(requests: IO[str], answers: IO[str]) -> None:
    """Do what is asked, line by line."""
    twin: Twin | None = None
    for line in requests:
        what, *given = json.loads(line)
        result: object = None
        if what == "version":
            result = sqlite3.sqlite_version
        elif what == "open":
            twin = Twin(*given)
        elif twin is not None:
            result = getattr(twin, what)(*given)
            twin = None if what == "close" else twin
        answers.write(json.dumps([result, twin is not None and twin.over]) + "\n")
        answers.flush()


if __name__ == "__main__":
    serve(sys.stdin, sys.stdout)
