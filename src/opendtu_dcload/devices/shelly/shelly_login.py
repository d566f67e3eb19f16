"""How a Shelly wants to be shown its password: generation 1 by Basic, later ones by Digest."""

from __future__ import annotations

from opendtu_dcload.devices import json_fields
from opendtu_dcload.devices.http import DeviceHttp

ONLY_USER = "admin"
"""From generation 2 on there is no other, whatever the configuration says."""


def generation_of(about: object) -> int:
    """Return the generation of the Shelly whose `/shelly` says `about`; those of the first do not tell it."""
    return json_fields.whole(about, "gen", 2, 9) or 1


def log_in(http: DeviceHttp, about: object) -> None:
    """Show the password from now on as the Shelly whose `/shelly` says `about` wants it.

    Raises:
        DeviceAuthError: it wants a password and there is none.
    """
    is_gen1 = generation_of(about) == 1
    if json_fields.flag(about, "auth" if is_gen1 else "auth_en") and not http.has_password:
        raise http.refuse()
    if is_gen1:
        http.authenticate_with("basic")
    else:
        http.authenticate_with("digest", ONLY_USER)
