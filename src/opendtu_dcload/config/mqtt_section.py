"""What may stand in `[mqtt]`, and what it needs beside the file: a certificate, and the package that talks MQTT."""

import importlib.util
import re
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, SecretStr

from opendtu_dcload.config.fields import BareHost, Label, LoginSection, check_password, check_text

PACKAGE = "aiomqtt"
MISSING = "mqtt: the package that talks MQTT is not installed; pip install 'opendtu-dcload[mqtt]'"
PORT, TLS_PORT = 1883, 8883
_LONGEST_TOPIC = 100


def _check_topic(topic: str) -> str:
    levels = check_text(topic).split("/")
    if len(topic) > _LONGEST_TOPIC:
        raise ValueError(f"is longer than {_LONGEST_TOPIC} characters")
    if not all(re.fullmatch(r"[A-Za-z0-9_.-]+", level) for level in levels):
        raise ValueError("is no beginning of a topic")
    return topic


Topic = Annotated[str, AfterValidator(_check_topic)]
_TOPIC = "words of letters, digits, _ . and -, with / between them, in quotes"


class MqttConfig(LoginSection):
    """`[mqtt]`: a broker that is told everything and may set what the GX may set, see [MQTT](mqtt.md)."""

    host: BareHost = Field(description='the broker\'s address in quotes, such as "192.168.1.54"')
    """Address of the broker."""
    port: Annotated[int | None, Field(ge=1, le=65535)] = None
    """Its port; left out, 1883, with `tls` 8883."""
    user: Annotated[str, AfterValidator(check_text)] | None = Field(  # type: ignore[assignment]  # a device always has one
        None, description="a user name in quotes"
    )
    """Left out, the broker is told no user."""
    password: Annotated[SecretStr, AfterValidator(check_password)] | None = Field(
        None, description="the password in quotes"
    )
    """That user's, here or in one of the next two."""
    tls: bool = False
    """Encrypted, and only to a broker whose certificate is trusted and names `host`."""
    ca_file: Label | None = Field(None, description="the name of a file with certificates (PEM), in quotes")
    """What is trusted instead of the certificate authorities that this computer knows; a relative name is looked for
    beside `config.toml`."""
    discovery_prefix: Topic = Field("homeassistant", description=_TOPIC)
    """Where Home Assistant looks for devices; its default."""
    base_topic: Topic = Field("opendtu-dcload", description=_TOPIC)
    """What all topics begin with; two programs at one broker need two."""

    @property
    def address(self) -> str:
        """What the broker is called in messages."""
        return f"{self.host}:{self.port_used}"

    @property
    def port_used(self) -> int:
        """The port, also where none was given."""
        return self.port or (TLS_PORT if self.tls else PORT)


def beside_the_file(raw: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """Yield one line for each thing that the section needs and that is not there."""
    if importlib.util.find_spec(PACKAGE) is None:
        yield MISSING
    name = raw.get("ca_file")
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        return  # left to the field's own check
    path = (folder / name).absolute()
    try:
        trusting(path)
    except ssl.SSLError:  # an OSError too
        yield f"mqtt.ca_file: {path} holds no certificate that can be read; write one as PEM"
    except (OSError, ValueError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or "no usable name"
        yield f"mqtt.ca_file: {path} cannot be read ({why}); name a file with certificates (PEM)"


def trusting(ca_file: Path | None) -> ssl.SSLContext:
    """Return what checks a broker's certificate, by `ca_file` or by what this computer trusts.

    Raises:
        OSError: the file cannot be read, or as an ssl.SSLError, has nothing in it.
    """
    context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    # Python 3.13 also wants the key identifiers of RFC 5280 (docs.python.org, ssl), which home-made ones often lack.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context
