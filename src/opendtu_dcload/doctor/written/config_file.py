"""The config.toml on the disk: whole or not at all, and read by whom it concerns."""

from __future__ import annotations

import contextlib
import os
import pwd
import stat
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from opendtu_dcload.doctor.written.shipped import can_be_written
from opendtu_dcload.errors import ConfigError

SERVICE_USER = "opendtu-dcload"
"""The service's user on Debian; on a GX there is none, and the service runs as root."""


def check_place(path: Path) -> None:
    """Return when a file can be written there.

    Raises:
        ConfigError: it cannot.
    """
    folder = path.resolve().parent
    if not folder.is_dir():
        raise ConfigError([f"{path} cannot be written, there is no folder {folder}; make it, or correct --config"])
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError([f"{path} cannot be written by this user in {folder}; become its owner, or correct --config"])


def write_config(path: Path, text: str, *, has_secret: bool) -> str:
    """Write a first file; return in words who may read it, empty when everybody may.

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
            file.write(text)
            return _readers(os.fstat(number)) if has_secret else ""
    except FileExistsError as err:
        raise ConfigError([exists(path)]) from err
    except OSError as err:
        if is_made:  # half a file would not be overwritten the next time
            path.unlink(missing_ok=True)
        raise _unwritten(path, err) from err


def replace_config(path: Path, text: str, *, has_secret: bool) -> tuple[str, Path]:
    """Put another content in the place of a file at once; return as `write_config`, and where the old one is kept.

    Both have the owner and the mode of the old one; a password makes the new one as hidden as a first file.

    Raises:
        ConfigError: it cannot be written; the old file is where it was.
    """
    path = path.resolve()  # what a link leads to
    new = path.with_name(f".{path.name}.new")
    try:
        found = path.stat()
        new.unlink(missing_ok=True)
        number = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(number, "w", encoding="utf-8") as file:  # noqa: PTH123  as above
            with contextlib.suppress(OSError):  # a file system without owners
                os.fchown(number, found.st_uid, found.st_gid)
            os.fchmod(number, stat.S_IMODE(found.st_mode))
            if has_secret:
                if os.geteuid() == 0:
                    _give_away(number, found)
                _hide(number)
            file.write(text)
            file.flush()
            os.fsync(number)
            readers = _readers(os.fstat(number)) if has_secret else ""
        kept = next(name for name in _names_beside(path) if not name.exists())
        os.link(path, kept)
        new.replace(path)
    except OSError as err:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
        raise _unwritten(path, err) from err
    return readers, kept


def _names_beside(path: Path) -> Iterator[Path]:
    yield path.with_name(f"{path.name}.bak")
    for number in count(2):
        yield path.with_name(f"{path.name}.bak{number}")


def _unwritten(path: Path, err: OSError) -> ConfigError:
    return ConfigError([f"{path} cannot be written ({err.strerror}); name another file with --config"])


def exists(path: Path) -> str:
    """Return the sentence for a file that would be overwritten."""
    return f"{path} exists already and is not overwritten; name another file with --config, or move it away"


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
