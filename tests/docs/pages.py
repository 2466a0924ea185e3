"""The written pages, taken apart: blocks, links, headings, command lines."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```$", re.M | re.S)
INLINE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.M)

#: What ends a command in a shell's line.
ENDS = ("|", "||", "&&", ";", "&", ">", ">>", "2>", "<", "#")
#: What stands for something else in a text that is no command to copy.
PLACEHOLDERS = ("...", "…", "[", "]", "<", ">")


@dataclass(frozen=True)
class Block:
    """One fenced block: `info` is what stands behind the fence, its language first."""

    page: Path
    line: int
    info: str
    text: str

    @property
    def language(self) -> str:
        """Return the first word behind the fence."""
        return self.info.split(" ", 1)[0]

    @property
    def remark(self) -> str:
        """Return what is said behind the language: how it is run, or why it is not."""
        return self.info.partition(" ")[2].strip()

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def all_pages() -> list[Path]:
    """Return every page, the README and the changelog with them."""
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page in their order."""
    text = page.read_text()
    return [
        Block(page, text.count("\n", 0, found.start()) + 1, found["info"].strip(), found["text"])
        for found in FENCE.finditer(text)
    ]


def links(page: Path) -> list[str]:
    """Return what a page links to, pictures too."""
    prose = INLINE.sub("", FENCE.sub("", page.read_text()))
    return [found[1] or found[2] for found in LINK.finditer(prose)]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    found: set[str] = set()
    for heading in HEADING.findall(FENCE.sub("", page.read_text())):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        number = 0
        while (name := f"{slug}-{number}" if number else slug) in found:
            number += 1
        found.add(name)
    return found


def commands(page: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the arguments of each call of `liteferry` on a page, with the text that it stands in."""
    text = page.read_text()
    for block in blocks(page):
        # the reference's own usage lines are made from the commands
        if (
            block.language not in ("toml", "ini", "yaml", "json", "python", "sql")
            and "[OPTIONS]" not in block.text
        ):
            for line in block.text.replace("\\\n", " ").splitlines():
                yield from _calls(line.removeprefix("$ "))
    for inline in INLINE.findall(FENCE.sub("", text)):
        if inline.startswith("liteferry ") and not any(mark in inline for mark in PLACEHOLDERS):
            yield from _calls(inline)


def _calls(line: str) -> Iterator[tuple[str, list[str]]]:
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        # a quotation that goes on in the next line is no call
        return
    for place, word in enumerate(words):
        before = words[:place]
        begins = (
            not before or before[-1] in (*ENDS, "$", "exec", "liteferry") or all("=" in w for w in before)
        )
        if (word == "liteferry" or word.endswith("/liteferry")) and begins:
            rest = words[place + 1 :]
            if rest and rest[0] == "liteferry":  # a container of that name
                continue
            end = next((at for at, w in enumerate(rest) if w in ENDS or w[:2] == "2>"), len(rest))
            if end:
                yield line, rest[:end]
