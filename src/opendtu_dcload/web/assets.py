"""The files of the page, read once at the start: nothing else of the disk can be asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import NamedTuple

KINDS = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "svg": "image/svg+xml",
    "png": "image/png",
    "ico": "image/x-icon",
    "webmanifest": "application/manifest+json",
}


class Asset(NamedTuple):
    """One file."""

    kind: str
    """Its media type."""
    content: bytes


def page() -> Mapping[str, Asset]:
    """Return the files by path; `/` is index.html."""
    folder = files("opendtu_dcload.web").joinpath("page")
    found = {}
    for file in folder.iterdir() if folder.is_dir() else ():
        if (kind := KINDS.get(file.name.rpartition(".")[2])) is not None and file.is_file():
            found[f"/{'' if file.name == 'index.html' else file.name}"] = Asset(kind, file.read_bytes())
    return found
