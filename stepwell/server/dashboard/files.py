"""The only place that knows the files the page is made of, and how each is sent.

They are built from `dashboard/` when the package is built. A checkout without Node has none; then a
page says how to build them.
"""

import hashlib
import mimetypes
from collections.abc import Mapping
from pathlib import Path

import msgspec

STATIC = Path(__file__).parent / "static"
PAGE = "index.html"
_HASHED = "assets/"
"""Files below it bear a hash of their content in their names and never change."""

_ENCODINGS = {"br": ".br", "gzip": ".gz"}
_FOREVER = "public, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"

NOT_BUILT = b"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><base href="/"><title>Stepwell</title></head>
<body><h1>The dashboard is not built</h1>
<p>This is a checkout that was set up without Node. Install Node 20 or newer, run
<code>scripts/setup</code>, and start the server again. The APIs and the command line work.</p>
</body></html>
"""


class StaticFile(msgspec.Struct, frozen=True):
    """One file: its bytes by encoding ("" is plain), its type, and how long it may be kept."""

    bodies: Mapping[str, bytes]
    content_type: str
    etag: str
    cache_control: str

    def body_for(self, accepted: str) -> tuple[str, bytes]:
        """The encoding and the bytes for an Accept-Encoding header."""
        wanted = {part.partition(";")[0].strip() for part in accepted.lower().split(",")}
        for encoding in _ENCODINGS:
            if encoding in wanted and encoding in self.bodies:
                return encoding, self.bodies[encoding]
        return "", self.bodies[""]


class Files(msgspec.Struct, frozen=True):
    """The page and what it loads, by path."""

    page: bytes
    by_path: Mapping[str, StaticFile]


def load(folder: Path = STATIC) -> Files:
    """Everything in a folder; the page that says how to build it where there is nothing."""
    if not (folder / PAGE).is_file():
        return Files(NOT_BUILT, {})
    suffixes = tuple(_ENCODINGS.values())
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    plain = [path for path in paths if path.suffix not in suffixes and path.name != PAGE]
    by_path = {path.relative_to(folder).as_posix(): _read(path, folder) for path in plain}
    return Files((folder / PAGE).read_bytes(), by_path)


def _read(path: Path, folder: Path) -> StaticFile:
    body = path.read_bytes()
    bodies = {"": body}
    for encoding, suffix in _ENCODINGS.items():
        compressed = path.with_name(path.name + suffix)
        if compressed.is_file():
            bodies[encoding] = compressed.read_bytes()
    hashed = path.relative_to(folder).as_posix().startswith(_HASHED)
    return StaticFile(
        bodies,
        mimetypes.guess_type(path.name)[0] or "application/octet-stream",
        f'"{hashlib.sha256(body).hexdigest()[:20]}"',
        _FOREVER if hashed else _ASK_AGAIN,
    )
