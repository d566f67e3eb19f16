"""Hypothesis strategies: any JSON, and good JSON with one place damaged."""

import copy
from typing import Any

from hypothesis import strategies as st

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.just(10**400)
    | st.floats()  # `1e999` is valid JSON and becomes infinity
    | st.sampled_from([0, -1, 1e308, 2**32, 2**64])
    | st.text(max_size=10),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=10), children, max_size=4),
    max_leaves=10,
)


def _places(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    if isinstance(value, dict):
        for key, inner in value.items():
            found += _places(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            found += _places(inner, (*path, index))
    return found


@st.composite
def damaged(draw: st.DrawFn, value: object) -> object:
    """Draw `value` with one part of it replaced by any JSON, or left out."""
    damaged_value: Any = copy.deepcopy(value)
    path = draw(st.sampled_from(_places(value)))
    if not path:
        return draw(json_values)
    parent = damaged_value
    for step in path[:-1]:
        parent = parent[step]
    if draw(st.booleans()):
        parent[path[-1]] = draw(json_values)
    else:
        del parent[path[-1]]
    return damaged_value
