"""What all sections of the settings have in common, and the checks of what may stand in them."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr


def check_text(text: str) -> str:
    """Return `text`; a ValueError says what is wrong with it as a name."""
    if not text.strip():
        raise ValueError("is empty")
    if not text.isprintable():  # D-Bus strings cannot carry NUL, and a log line must stay one line
        raise ValueError("contains a control character")
    return text


def _check_user(user: str) -> str:
    if ":" in check_text(user):  # RFC 7617: the colon ends the user name
        raise ValueError("contains a colon")
    return user


def check_password(password: SecretStr) -> SecretStr:
    """Return `password`; a ValueError says that it is empty."""
    if not password.get_secret_value():
        raise ValueError("is empty")
    return password


def _check_host(host: str) -> str:
    if re.search(r"[/\\?#@\s]", check_text(host)):
        raise ValueError("is more than an address (no http://, no path, no user, no spaces)")
    match = re.fullmatch(r"(\[[^\[\]]*\]|[^:\[\]]+)(?::([^:]*))?", host)
    if match is None:
        raise ValueError("is no address (an IPv6 address stands in [ ])")
    name, port = match.groups()
    if port is not None and not (re.fullmatch(r"[1-9][0-9]{0,4}", port) and int(port) <= 65535):
        raise ValueError("has a port that is not from 1 to 65535")
    if not _is_host_name(name):
        raise ValueError("is neither a host name nor an IP address")
    return host


def _check_bare(host: str) -> str:
    if re.search(r":[0-9]+$", host) and not host.endswith("]"):
        raise ValueError("has a port, which is a setting of its own")
    return host


def _is_host_name(name: str) -> bool:
    try:
        if name.startswith("["):
            return bool(ipaddress.IPv6Address(name[1:-1]))
        if re.fullmatch(r"[0-9.]+", name):
            return bool(ipaddress.IPv4Address(name))
    except ValueError:
        return False
    label = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"  # RFC 1123, and the underscore that home routers allow
    return len(name) <= 253 and re.fullmatch(rf"{label}(\.{label})*\.?", name) is not None


def _text_of_number(channel: object) -> object:
    """Return a whole number as text, so that a channel may be written without quotes; all else as it is."""
    return str(channel) if type(channel) is int else channel


def _check_whole(power_w: float | None) -> float | None:
    if power_w is not None and not power_w.is_integer():
        raise ValueError("is no whole number of W")  # but kW, or thousands with a point between them
    return power_w


WHOLE = AfterValidator(_check_whole)
"""Marks a power: `0.8` and `1.200` are none in W, and would be taken for next to nothing."""
Host = Annotated[str, AfterValidator(_check_host)]
BareHost = Annotated[Host, AfterValidator(_check_bare)]
"""Where the port is a setting of its own."""
Label = Annotated[str, AfterValidator(check_text)]
Channel = Annotated[Literal["sum", "0", "1", "2", "3", "a", "b", "c"] | None, BeforeValidator(_text_of_number)]
"""What of a Shelly is read; None = what it measures as a whole."""


@dataclass(frozen=True, slots=True)
class NotAbove:
    """Marks a setting that may not be larger than another one of its section."""

    other: str


class Section(BaseModel):
    """One `[section]` of the file."""

    model_config = ConfigDict(
        strict=True,  # else "25" becomes 25.0 and true becomes 1.0
        allow_inf_nan=False,
        extra="forbid",
        frozen=True,
        populate_by_name=True,
        hide_input_in_errors=True,  # it may be a password
    )


class LoginSection(Section):
    """A section with a password, which can be given in one of three ways and is in `password` then."""

    user: Annotated[str, AfterValidator(_check_user)] = Field(
        "admin", description="a user name in quotes, without a colon"
    )
    """Only for a device that asks for a login with another name; OpenDTU knows no other."""
    password: Annotated[SecretStr, AfterValidator(check_password)] | None = Field(
        None, description="the password in quotes"
    )
    """OpenDTU's "admin / AP" password, needed once an inverter is listed; a Shelly's only if it asks for a login. Left
    out, it is taken from one of the next two."""
    password_file: Label | None = Field(None, description="the name of a file with the password, in quotes")
    """A file that holds nothing but the password; a relative name is looked for beside `config.toml`."""
    password_env: Label | None = Field(None, description="the name of an environment variable, in quotes")
    """An environment variable of the service that holds the password. At most one of the three ways."""
