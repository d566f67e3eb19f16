"""What comes from a broker: commands, taken as the GX takes them, or refused with one line in the log."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping

from opendtu_dcload.config.messages import shown
from opendtu_dcload.venus.gx.gx_controls import Controls
from opendtu_dcload.venus.gx.user_writes import apply_user_write

LONGEST_BYTES = 32
"""No number that may be set takes more."""

_NUMBER = re.compile(r"[-+]?[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?")

log = logging.getLogger(__name__)


class CommandDoor:
    """The only way from a message to what the user sets."""

    def __init__(self, controls: Controls | None, names: Mapping[str, str]) -> None:
        """Let nothing through yet.

        Args:
            controls: what may be set; None = nothing.
            names: of the controls, by topic.
        """
        self._controls = controls
        self._names = names if controls is not None else {}
        self._refused: set[str] = set()

    @property
    def topics(self) -> list[str]:
        """The topics that commands come by."""
        return list(self._names)

    def take(self, topic: str, payload: object, *, is_retained: bool) -> bool:
        """Take a message; False when it is no command of ours, or refused.

        One that the broker has kept is from another time: what somebody wanted then may not act at each start.
        """
        name = self._names.get(topic)
        if name is None or self._controls is None:
            return False
        problem = _kept(name) if is_retained else ""
        if not problem:
            text = _text(payload)
            problem = (
                apply_user_write(self._controls, name, text)
                if text is not None
                else f"{name}: what came is refused; write a number as text of at most {LONGEST_BYTES} bytes"
            )
        self._tell(topic, problem)
        return not problem

    def _tell(self, topic: str, problem: str) -> None:
        """Log a refusal, and the next one at that topic only when something was taken between."""
        if problem and topic not in self._refused:
            log.warning("MQTT: %s", problem)
        if problem:
            self._refused.add(topic)
        else:
            self._refused.discard(topic)


def _kept(name: str) -> str:
    return f"{shown('name', name)}: a retained command is ignored, it may be old; publish it without the retain flag"


def _text(payload: object) -> str | None:
    if not isinstance(payload, bytes | bytearray) or len(payload) > LONGEST_BYTES:
        return None
    text = payload.decode("ascii", errors="replace").strip()
    return text if _NUMBER.fullmatch(text) else None
