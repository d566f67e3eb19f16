"""A config.toml, filled in: its comments stay, values change, blocks are added."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

COMMENT_COLUMN = 31
_HEAD = re.compile(r"(#|\s*)\[\[?\s*(\w+)\s*\]")
"""The beginning of a section; one with # is not used."""
_VALUE = re.compile(r"""[^=]*=\s*(?:"(?:[^"\\]|\\.)*"|'[^']*'|[^#"']*?)\s*(#\s.*)?$""")
"""A setting with the comment behind it."""

Value = str | float | bool


@dataclass(frozen=True, slots=True)
class Block:
    """One `[[inverter]]`."""

    serial: str
    """Empty: to be filled in."""
    note: str = ""
    """What is known of it, for people."""
    options: Mapping[str, Value] = field(default_factory=dict)
    """What else stands in it."""
    is_active: bool = True
    """False: written as a comment."""

    def lines(self) -> list[str]:
        """Return the block as it stands in the file."""
        lines = ["[[inverter]]", _line("serial", self.serial, f"# {self.note}" if self.note else "")]
        lines += [_line(key, value, "") for key, value in self.options.items()]
        return [*(lines if self.is_active else [f"#{line}" for line in lines]), ""]


class Draft:
    """A configuration that is being written."""

    def __init__(self, text: str) -> None:
        self._lines = text.removesuffix("\n").split("\n")

    def has(self, section: str, key: str) -> bool:
        """Whether the file has a place for a value."""
        return self._search(section, key) is not None

    def set(self, section: str, key: str, value: Value) -> None:
        """Write a value in its place, even if that is a comment; where there is none, behind the section's heading."""
        index = self._search(section, key)
        if index is None:
            self._insert(section, _line(key, value, ""))
            return
        comment = _VALUE.match(self._lines[index].lstrip("#"))
        self._lines[index] = _line(key, value, (comment and comment[1]) or "")
        head = next(i for i in range(index, -1, -1) if _HEAD.match(self._lines[i]))
        self._lines[head] = self._lines[head].removeprefix("#")

    def remark(self, section: str, key: str, text: str) -> None:
        """Put a comment above the place of a value."""
        self._lines.insert(self._find(section, key), f"# {text}")

    def drop(self, section: str, key: str) -> None:
        """Make a comment of a value's line."""
        index = self._find(section, key)
        self._lines[index] = f"#{self._lines[index].lstrip('#')}"

    def set_inverters(self, blocks: Sequence[Block]) -> None:
        """Replace the one empty block by these; the options of a block stay as comments behind the first one."""
        index = self._find("inverter", "serial")
        first, *others = blocks or [Block("", is_active=False)]
        self._lines[index - 1 : index + 1] = first.lines()[:-1]
        end = next(i for i in range(index, len(self._lines)) if self._lines[i].startswith("[battery]"))
        self._lines[end:end] = [line for block in others for line in block.lines()] + ([""] if others else [])

    def change_inverters(self, listed: Collection[str], added: Sequence[Block]) -> None:
        """Make comments of the blocks whose serial is not `listed`, and add those of `added` behind the last block."""
        end = len(self._lines)
        for begin, until in self._blocks("inverter"):
            lines = range(begin, until)
            serials = [re.match(r"""\s*serial\s*=\s*["'](\w*)["']""", self._lines[i]) for i in lines]
            if not any(serial and serial[1].lower() in listed for serial in serials):
                for i in lines:
                    self._lines[i] = f"#{self._lines[i]}"
            end = until
        self._lines[end:end] = ["", *(line for block in added for line in block.lines()[:-1])] if added else []

    def _blocks(self, section: str) -> Iterator[tuple[int, int]]:
        """Yield where each block of a section begins and ends, without the comments between it and what follows."""
        heads = [i for i, line in enumerate(self._lines) if (match := _HEAD.match(line)) and match[1] != "#"]
        for begin, until in pairwise([*heads, len(self._lines)]):
            if (match := _HEAD.match(self._lines[begin])) and match[2] == section:
                used = [i for i in range(begin, until) if self._lines[i].strip() and not self._lines[i].startswith("#")]
                yield begin, used[-1] + 1

    def append(self, lines: Sequence[str]) -> None:
        """Add lines at the end."""
        self._lines += ["", "", *lines]

    @property
    def text(self) -> str:
        """The whole file."""
        return "\n".join(self._lines) + "\n"

    def _find(self, section: str, key: str) -> int:
        index = self._search(section, key)
        if index is None:
            raise AssertionError(f"config.toml has no place for {section}.{key}")
        return index

    def _search(self, section: str, key: str) -> int | None:
        """Return the line of a setting: of one that is in use, else of one that is a comment."""
        now, is_used, place = "", False, None
        for index, line in enumerate(self._lines):
            if match := _HEAD.match(line):
                now, is_used = match[2], match[1] != "#"
            elif now == section and is_used and re.match(rf"\s*{key}\s*=", line):
                return index
            elif now == section and place is None and re.match(rf"#?{key} = ", line):
                place = index
        return place

    def _insert(self, section: str, line: str) -> None:
        heads = [i for i, text in enumerate(self._lines) if (match := _HEAD.match(text)) and match[2] == section]
        used = [i for i in heads if not self._lines[i].startswith("#")]
        if not used:
            self._lines += ["", f"[{section}]"]
            used = [len(self._lines) - 1]
        self._lines.insert(used[0] + 1, line)


def _line(key: str, value: Value, comment: str) -> str:
    # what JSON calls a string or a number is one in TOML too
    shown = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    written = f"{key} = {shown}"
    return f"{written:<{COMMENT_COLUMN - 1}} {comment}".rstrip()
