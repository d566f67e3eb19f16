"""The shipped config.toml, filled in: its comments stay, values change, blocks are added."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from opendtu_dcload.errors import ConfigError

COMMENT_COLUMN = 31
_HEAD = re.compile(r"#?\[\[?(\w+)\]")
"""The beginning of a section; one with # is not used."""
NAME = "config.toml"
SERVICE_USER = "opendtu-dcload"
"""The service's user on Debian; on a GX there is none, and the service runs as root."""


def shipped_file() -> Path:
    """Return where the config.toml is that comes with the program.

    Raises:
        ConfigError: it is missing.
    """
    package = Path(__file__).parents[2]
    # beside the packages (`pip install --target`, the GX), in a virtual environment, in a checkout
    shares = (package.parent / "share", Path(sys.prefix) / "share")
    for place in (*(share / "opendtu-dcload" / NAME for share in shares), package.parents[1] / NAME):
        if place.is_file():
            return place
    raise ConfigError([f"the {NAME} that comes with the program is missing; install the program anew"])


def shipped_text() -> str:
    """Return the config.toml that comes with the program.

    Raises:
        ConfigError: it is missing.
    """
    return shipped_file().read_text(encoding="utf-8")


def can_be_written(path: Path) -> bool:
    """Whether there is no such file, or one that an installer put there and nobody has filled in.

    Raises:
        ConfigError: there is nothing to compare it with.
    """
    shipped = shipped_file()
    try:
        # in a checkout it is no copy
        return not path.exists() or (not path.samefile(shipped) and path.read_bytes() == shipped.read_bytes())
    except OSError:
        return False


Value = str | float | bool


@dataclass(frozen=True, slots=True)
class Block:
    """One `[[inverter]]`."""

    serial: str
    """Empty: to be filled in."""
    note: str = ""
    """What is known of it, for people."""
    device_instance: int | None = None
    is_active: bool = True
    """False: written as a comment."""

    def lines(self) -> list[str]:
        """Return the block as it stands in the file."""
        lines = ["[[inverter]]", _line("serial", self.serial, f"# {self.note}" if self.note else "")]
        if self.device_instance is not None:
            lines.append(_line("device_instance", self.device_instance, ""))
        return [*(lines if self.is_active else [f"#{line}" for line in lines]), ""]


class Draft:
    """A configuration that is being written."""

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines()

    def has(self, section: str, key: str) -> bool:
        """Whether the file has a place for a value."""
        return self._search(section, key) is not None

    def set(self, section: str, key: str, value: Value) -> None:
        """Write a value where the file has a place for it, even if only as a comment."""
        index = self._find(section, key)
        comment = re.search(r"(?<=\s)#\s.*$", self._lines[index])
        self._lines[index] = _line(key, value, comment[0] if comment else "")
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

    def append(self, lines: Sequence[str]) -> None:
        """Add lines at the end."""
        self._lines += ["", "", *lines]

    @property
    def text(self) -> str:
        """The whole file."""
        return "\n".join(self._lines) + "\n"

    def write(self, path: Path, *, has_secret: bool) -> str:
        """Write the file; return in words who may read it, empty when everybody may.

        With a password in it these are its owner and the service's user; what root writes is the folder owner's.

        Raises:
            ConfigError: there is such a file already, or it cannot be written.
        """
        is_made = False
        try:
            is_new = not (path.exists() and can_be_written(path))
            flags = os.O_WRONLY | (os.O_CREAT | os.O_EXCL if is_new else os.O_TRUNC)
            number = os.open(path, flags, 0o600 if has_secret else 0o644)
            is_made = is_new
            with open(number, "w", encoding="utf-8") as file:  # noqa: PTH123  Path cannot create with a mode
                if os.geteuid() == 0:
                    _give_away(number, path.parent.stat() if is_new else os.fstat(number))
                if has_secret:
                    _hide(number)
                file.write(self.text)
                return _readers(os.fstat(number)) if has_secret else ""
        except FileExistsError as err:
            raise ConfigError([exists(path)]) from err
        except OSError as err:
            if is_made:  # half a file would not be overwritten the next time
                path.unlink(missing_ok=True)
            raise ConfigError([f"{path} cannot be written ({err.strerror}); name another file with --config"]) from err

    def _find(self, section: str, key: str) -> int:
        index = self._search(section, key)
        if index is None:
            raise AssertionError(f"config.toml has no place for {section}.{key}")
        return index

    def _search(self, section: str, key: str) -> int | None:
        now = ""
        for index, line in enumerate(self._lines):
            if match := _HEAD.match(line):
                now = match[1]
            elif now == section and re.match(rf"#?{key} = ", line):
                return index
        return None


def exists(path: Path) -> str:
    """Return the sentence for a file that would be overwritten."""
    return f"{path} exists already and is not overwritten; name another file with --config, or move it away"


def _line(key: str, value: Value, comment: str) -> str:
    # what JSON calls a string or a number is one in TOML too
    written = f"{key} = {json.dumps(value, ensure_ascii=False)}"
    return f"{written:<{COMMENT_COLUMN - 1}} {comment}".rstrip()


def _give_away(number: int, like: os.stat_result) -> None:
    """Let a file that root has opened belong to the owner and group of `like`; root's, to the service's group."""
    group = _service_group() if like.st_uid == like.st_gid == 0 else like.st_gid
    with contextlib.suppress(OSError):  # a file system without owners
        os.fchown(number, like.st_uid, 0 if group is None else group)


def _hide(number: int) -> None:
    """Let a file be read by its owner alone, and by a group that may already or is the service's."""
    found = os.fstat(number)
    os.fchmod(number, 0o640 if found.st_gid == _service_group() else found.st_mode & 0o640)


def _service_group() -> int | None:
    try:
        return pwd.getpwnam(SERVICE_USER).pw_gid
    except KeyError:
        return None


def _readers(found: os.stat_result) -> str:
    names = [_name_of(found.st_uid)]
    if found.st_mode & stat.S_IRGRP:
        names.append(SERVICE_USER if found.st_gid == _service_group() else f"the group {found.st_gid}")
    return " and ".join(names)


def _name_of(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"the user {user}"
