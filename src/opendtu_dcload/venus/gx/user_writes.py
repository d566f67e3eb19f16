"""What a user sets by another way than the bus: the same checks, the same value, the same way to the control."""

from __future__ import annotations

from opendtu_dcload.config.messages import shown
from opendtu_dcload.venus.gx.gx_controls import Controls


def apply_user_write(controls: Controls, name: str, raw: object) -> str:
    """Let `raw` hold from now on, as if it had been written on the GX; numbers out of range come into it.

    Args:
        controls: of the running program, with a bus or without.
        name: one of `controls.by_name`.
        raw: a number, or the text of one; switches take 0 and 1.

    Returns:
        Empty when it holds, else one sentence: what is wrong, and what may be written.
    """
    control = controls.by_name.get(name)
    if control is None:
        return f"{shown('', name)} cannot be set; what can be is {', '.join(controls.by_name)}"
    if control.write(raw):
        return ""
    shape = control.setting.shape
    return f"{name}: {shown(name, raw)} is refused; write {shape.minimum:g} to {shape.maximum:g} {shape.unit}".rstrip()
