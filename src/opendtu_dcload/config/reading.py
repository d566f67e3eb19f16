"""Where the settings come from: the TOML file itself, and the files and variables that hold passwords."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from stat import S_IROTH, S_IXOTH
from typing import Any

import tomli

from opendtu_dcload.errors import ConfigError
from opendtu_dcload.program_name import command

_MAX_FILE_BYTES = 1_000_000
_MAX_PASSWORD_BYTES = 1_000

# The beginning of tomli's text -> what a user calls it. Its own texts are for programmers.
_NO_LINE = "this is no line of a configuration; write key = value, [section] or # note"
_TWICE = "the same setting stands there twice; remove one, or for inverters write [[inverter]] each time"
_SECTION_TWICE = "the same section begins twice; write one heading, or for inverters [[inverter]]"
_OPEN_BRACKET = "a closing bracket is missing; write it"
_LONE_BACKSLASH = r"a lone backslash stands in text; write \\ for it"
_SYNTAX = {
    "Cannot overwrite": _TWICE,
    "Duplicate": _TWICE,
    "Cannot declare": _SECTION_TWICE,
    "Cannot mutate": _SECTION_TWICE,
    "Cannot redefine": _SECTION_TWICE,
    "Expected ']": _OPEN_BRACKET,
    "Unclosed": _OPEN_BRACKET,
    "Invalid value": (
        'this is no value; write text in straight quotes ("), a number with a decimal point, or true or false'
    ),
    "Expected newline": (
        "the line goes on behind the value; text takes quotes, decimals a point, numbers no unit, a note a #"
    ),
    "Expected '='": _NO_LINE,
    "Invalid statement": _NO_LINE,
    "Invalid initial character": _NO_LINE,
    "Illegal character": "a closing quote is missing, or a character does not belong there; write it anew",
    "Unescaped": _LONE_BACKSLASH,
    "Invalid hex": _LONE_BACKSLASH,
    "Unterminated": "a closing quote is missing; write it",
    "Expected \"'": "a closing quote is missing; write it",
}


def read_table(path: Path) -> dict[str, Any]:
    """Return the TOML document at `path`.

    Raises:
        ConfigError: With one line.
    """
    path = path.absolute()  # a message must tell where it was looked for
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_FILE_BYTES + 1)
    except FileNotFoundError as error:
        advice = f"{command('init', '--config', path)} writes it from what the devices answer, --config names another"
        raise ConfigError([f"{path} does not exist; {advice}"]) from error
    except IsADirectoryError as error:
        advice = f"name the file in it with --config, such as {path / 'config.toml'}"
        raise ConfigError([f"{path} is a folder; {advice}"]) from error
    except OSError as error:
        raise ConfigError([f"{path} cannot be read ({error.strerror}); make it readable for this user"]) from error
    if len(content) > _MAX_FILE_BYTES:
        raise ConfigError([f"{path} is larger than 1 MB and no configuration; name yours with --config"])
    try:
        return tomli.loads(content.decode("utf-8-sig"))  # Windows editors begin a file with a byte order mark
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        message = f"{path}, line {line}: not UTF-8 text; save it as UTF-8 in the editor"
    except tomli.TOMLDecodeError as error:
        message = _syntax(path, str(error))
    except (ValueError, RecursionError):  # numbers of thousands of digits, brackets nested thousands deep
        message = (
            f"{path} is no configuration: it holds a number or a list beyond measure; start again from config.toml"
        )
    raise ConfigError([message])  # outside of the handlers: tomli's exception carries the whole document


def read_password(
    key: str, raw: Mapping[str, Any], folder: Path, environ: Mapping[str, str], problems: list[str]
) -> dict[str, str]:
    """Return `password` from the file or variable that section `key` names; empty when it names none, or in vain.

    A name that is no text, empty or with control characters is left to the field's own check.
    """
    ways = [way for way in ("password", "password_file", "password_env") if way in raw]
    if len(ways) > 1:
        problems.append(f"{key}: the password is given {len(ways)} times ({', '.join(ways)}); keep one of them")
        return {}
    name = raw[ways[0]] if ways else None
    if ways == ["password"] or not isinstance(name, str) or not name.strip() or not name.isprintable():
        return {}
    try:
        if ways == ["password_file"]:
            return {"password": _from_file(folder, name)}
        return {"password": _from_variable(name, environ)}
    except ConfigError as error:
        problems += [f"{key}.{ways[0]}: {problem}" for problem in error.problems]
        return {}


def in_folder(raw: Mapping[str, Any], key: str, folder: Path) -> dict[str, str]:
    """Return the file that `key` names with the folder that it is looked for in; empty when it names none."""
    name = raw.get(key)
    return {key: str((folder / name).absolute())} if isinstance(name, str) and name.strip() else {}


def is_open_to_all(path: Path) -> bool:
    """Tell whether every user of this computer can read the file."""
    try:
        folders = path.resolve().parents
        return bool(path.stat().st_mode & S_IROTH) and all(folder.stat().st_mode & S_IXOTH for folder in folders)
    except OSError:
        return False


def _from_file(folder: Path, name: str) -> str:
    path = folder / name
    if not os.path.lexists(path):  # its name is not shown: it may be the password itself
        where = f"unless it begins with / it is looked for in {folder.absolute()}"
        raise ConfigError([f"there is no such file ({where}); write the password into it, or name another one"])
    try:
        if not path.is_file():  # nor a pipe, which could block for ever
            raise ConfigError([f"{path} is no file; write the password into one, and name that"])
        with path.open("rb") as file:
            content = file.read(_MAX_PASSWORD_BYTES + 1)
        password = content.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError:
        raise ConfigError([f"{path} is not UTF-8 text; save it as UTF-8"]) from None  # it carries the password
    except OSError as error:
        raise ConfigError([f"{path} cannot be read ({error.strerror}); make it readable for this user"]) from error
    if len(content) > _MAX_PASSWORD_BYTES:
        raise ConfigError([f"{path} is longer than {_MAX_PASSWORD_BYTES} bytes; it may hold nothing but the password"])
    if not password:
        raise ConfigError([f"{path} is empty; write the password into it"])
    return password


def _from_variable(name: str, environ: Mapping[str, str]) -> str:
    # as long as there is none of this name it is not shown: it may be the password itself
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ConfigError(["*** is no name of an environment variable; write letters, digits and underscores"])
    password = environ.get(name, "")
    if not password:
        raise ConfigError(["there is no such environment variable; set it where the service is started"])
    if any("\ud800" <= char <= "\udfff" for char in password):  # how Python shows bytes that are no text
        raise ConfigError([f"the environment variable {name} is not UTF-8 text; set it again"])
    return password


def _syntax(path: Path, text: str) -> str:
    place = re.search(r"\(at line (\d+), column (\d+)\)", text)
    where = f"line {place[1]}, column {place[2]}" if place else "the end of the file"
    otherwise = "something is not written as TOML wants it; write it as in the shipped config.toml"
    why = next((why for start, why in _SYNTAX.items() if text.startswith(start)), otherwise)
    return f"{path}, {where}: {why}"
