"""Runs the blocks of a page as a person would: in order, in one shell's environment."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.processes import clean_environment

from .pages import Block

BLOCK_SECONDS = 120.0
WATCHED_SECONDS = 1.5

#: How `liteferry` is called here: the very code that is tested.
PROGRAM = f'#!/bin/sh\nexec "{sys.executable}" -m daemon.cli "$@"\n'


@dataclass
class Playbook:
    """One shell's life: what a block exports, later ones have.

    `instead` maps what the page names, hosts and folders, to what is there in the test.
    """

    folder: Path
    instead: Mapping[str, str]
    path: tuple[Path, ...] = ()
    ran: int = 0
    _background: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        programs = self.folder / "bin"
        programs.mkdir()
        (programs / "liteferry").write_text(PROGRAM)
        (programs / "liteferry").chmod(0o755)
        found = os.pathsep.join(map(str, (programs, *self.path)))
        self._env = clean_environment(
            {"PATH": f"{found}{os.pathsep}{os.environ['PATH']}", "LITEFERRY_CONTROL": str(self.folder / "s")}
        )

    def run(self, block: Block) -> None:
        """Do with a block what its remark says; assert that it ends as it should."""
        text = block.text
        for theirs, ours in self.instead.items():
            text = text.replace(theirs, ours)
        if block.remark.startswith("not run:"):
            return
        self.ran += 1
        # where it was, should a block not come to its end
        sys.stdout.write(f"{time.strftime('%H:%M:%S')} {block} {block.remark}\n")
        if block.remark == "in the background":
            self._begin(text)
        elif block.remark.startswith("until "):
            self._await(text, block.remark.removeprefix("until "), str(block))
        elif block.remark == "watched for a moment":
            self._watch(text, str(block))
        else:
            if block.remark == "after the daemon has ended":
                self.stop()
            answer = block.remark.removeprefix("answered with ") if "answered with" in block.remark else None
            status, output = self._shell(text, answer)
            assert status in ((0, 1) if block.remark == "may end with 1" else (0,)), f"{block}\n{output}"

    def stop(self) -> None:
        """End what runs in the background, the last first, and see that it ends well."""
        while self._background:
            process = self._background.pop()
            process.terminate()
            assert process.wait(BLOCK_SECONDS) == 0, (self.folder / "background.log").read_text()

    def kill(self) -> None:
        """End what still runs; for the end of a test that has failed."""
        while self._background:
            process = self._background.pop()
            process.kill()
            process.wait(BLOCK_SECONDS)

    def _shell(self, text: str, answer: str | None = None) -> tuple[int, str]:
        """Run a block to its end; what it has exported is kept."""
        kept = self.folder / "environment"
        script = f"set -eu\n{text}\nenv -0 > '{kept}'\n"
        ours, theirs = pty.openpty() if answer is not None else (None, None)
        try:
            if ours is not None:
                os.write(ours, f"{answer}\n".encode())
            done = subprocess.run(
                ["bash", "-c", script],
                cwd=self.folder,
                env=self._env,
                stdin=subprocess.DEVNULL if theirs is None else theirs,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=BLOCK_SECONDS,
                check=False,
            )
        finally:
            for end in (ours, theirs):
                if end is not None:
                    os.close(end)
        if done.returncode == 0:
            self._env = dict(pair.split("=", 1) for pair in kept.read_text().split("\0") if pair)
        return done.returncode, done.stdout

    def _begin(self, text: str) -> None:
        with (self.folder / "background.log").open("ab") as log:
            process = subprocess.Popen(
                ["bash", "-c", f"exec {text.strip()}"],
                cwd=self.folder,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._background.append(process)
        self._await("liteferry status", "", "the start")

    def _await(self, text: str, wanted: str, where: str) -> None:
        """Ask again until the answer has some words."""
        deadline = time.monotonic() + BLOCK_SECONDS
        while True:
            status, output = self._shell(text)
            if status == 0 and wanted in output and f"not {wanted}" not in output:
                return
            log = (self.folder / "background.log").read_text()
            assert time.monotonic() < deadline, f"{where}: no {wanted!r} in:\n{output}\n{log}"
            assert all(p.poll() is None for p in self._background), f"{where}: ended\n{log}"
            time.sleep(0.2)

    def _watch(self, text: str, where: str) -> None:
        process = subprocess.Popen(
            ["bash", "-c", f"exec {text.strip()}"], cwd=self.folder, env=self._env, stdout=subprocess.PIPE
        )
        with process, suppress(subprocess.TimeoutExpired):
            assert process.stdout is not None
            assert process.stdout.readline(), where
            process.send_signal(signal.SIGINT)
            assert process.wait(BLOCK_SECONDS) == 0, where
