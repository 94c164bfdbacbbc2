"""The only place that reads long JSON a piece at a time, with a pause after each.

A decoder reads all of a text in one call, in which an event loop stands still. So what is long is
cut where its lists and objects have their commas, and only pieces are decoded. Where they are is
found beforehand: for each byte that is a comma, or a closing bracket, how deep it stands. Both are
looked for by searches that run in C.

What comes out is the form `canonical` gives, byte for byte.
"""

import re
from array import array
from collections.abc import Generator, Iterator
from heapq import merge
from itertools import accumulate
from operator import itemgetter
from typing import Final, TypeAlias, TypeVar

import msgspec

from stepwell.wire.canonical import canonical, fields, is_jcs, jcs, jcs_fields
from stepwell.wire.outside import DEPTH_MAX, TooDeep, decode

T = TypeVar("T")
Turns: TypeAlias = Generator[None, None, T]
"""Work that pauses: whoever has other things to do may do them at each `yield`."""

AT_ONCE_BYTES: Final = 64 * 1024
"""What is not longer is read in one go: 25 ms at most, for numbers that take the longest."""
PIECE_BYTES: Final = 32 * 1024
WITH_OTHERS_BYTES: Final = 8 * 1024
"""What is longer is read after a pause: many such texts may come at once."""
_MERGED_AT_ONCE: Final = 5_000

_Chunk: TypeAlias = tuple[list[bytes], list[bytes]]
"""Fields of an object: their names as they are sorted, and their JSON texts."""

_OUTSIDE: Final = 1
"""The level of what stands in no container: 0 is said of bytes that are nothing."""
_STEPS = bytes(1 if byte in b"[{" else 255 if byte in b"]}" else 0 for byte in range(256))
_COMMAS = bytes(255 if byte in b"," else 0 for byte in range(256))
_CLOSERS = bytes(255 if byte in b"]}" else 0 for byte in range(256))
_LEVELS = bytes(range(_OUTSIDE + DEPTH_MAX + 1))
_BLANK = re.compile(rb"[ \t\r\n]*")


def done(turns: Turns[T]) -> T:
    """The result, without a pause."""
    while True:
        try:
            next(turns)
        except StopIteration as end:
            result: T = end.value
            return result


def canonicalizing(raw: bytes) -> Turns[bytes]:
    """`canonical(raw)`. Raises ValueError as it does."""
    return _formed(raw, for_signing=False)


def jcs_in_turns(raw: bytes) -> Turns[bytes]:
    """`jcs(raw)`. Raises ValueError as it does."""
    return _formed(raw, for_signing=True)


def signing_form(body: bytes) -> Turns[bytes]:
    """`jcs_of_canonical(body)`."""
    if len(body) > WITH_OTHERS_BYTES:
        yield
    if is_jcs(body):
        return body
    try:
        return (yield from _formed(body, for_signing=True))
    except ValueError:
        return body


def decoding(raw: bytes, decoder: msgspec.json.Decoder[T]) -> Turns[T]:
    """`decode(raw, decoder)`, for decoders that do not look into what may be long: it is passed
    over in C, which takes a few milliseconds. Raises as that does."""
    if len(raw) > WITH_OTHERS_BYTES:
        yield
    if len(raw) <= AT_ONCE_BYTES:
        return decode(raw, decoder)
    if raw.count(b"[") + raw.count(b"{") > DEPTH_MAX:
        yield from _looked_through(_without_escapes(raw))
    return decoder.decode(raw)


def pieces_of_list(body: bytes) -> Turns[list[bytes]]:
    """A list as texts of shorter ones, each at most `PIECE_BYTES` long, or of one element.

    Raises ValueError for what is no list; its elements are not looked at.
    """
    yield
    clean = _without_escapes(body)
    marks = yield from _looked_through(clean)
    walk = _Walk(body, clean, *marks, for_signing=False)
    return walk.texts()


def _formed(raw: bytes, *, for_signing: bool) -> Turns[bytes]:
    if len(raw) > WITH_OTHERS_BYTES:
        yield
    at = _past_blank(raw, 0)
    if len(raw) <= AT_ONCE_BYTES or raw[at : at + 1] not in (b"[", b"{"):
        return jcs(raw) if for_signing else canonical(raw)
    clean = _without_escapes(raw)
    marks = yield from _looked_through(clean)
    walk = _Walk(raw, clean, *marks, for_signing=for_signing)
    form, end = yield from walk.container(at, _OUTSIDE + 1)
    walk.check_blank(end, len(raw))
    return form


def _past_blank(body: bytes, at: int) -> int:
    found = _BLANK.match(body, at)
    return at if found is None else found.end()


def _without_escapes(body: bytes) -> bytes:
    """The same text, in which each quotation mark begins or ends a text."""
    return body.replace(rb"\\", b"__").replace(rb"\"", b"__") if b"\\" in body else body


def _looked_through(clean: bytes) -> Turns[tuple[bytes, bytes]]:
    """For each byte the level of a comma that stands there, and of what a bracket that stands
    there goes back to; 0 for all other bytes."""
    commas, closers = bytearray(), bytearray()
    level, is_text = _OUTSIDE, False
    for at in range(0, len(clean), PIECE_BYTES):
        plain, is_text = _blanked(clean[at : at + PIECE_BYTES], is_text)
        levels = _levels(plain, level)
        level = levels[-1]
        commas += _masked(levels, plain.translate(_COMMAS))
        closers += _masked(levels, plain.translate(_CLOSERS))
        yield
    return bytes(commas), bytes(closers)


def _blanked(piece: bytes, is_text: bool) -> tuple[bytes, bool]:
    """The piece with zeros for what stands in texts, and whether it ends in one."""
    parts = piece.split(b'"')
    for at in range(0 if is_text else 1, len(parts), 2):
        parts[at] = bytes(len(parts[at]))
    return b'"'.join(parts), is_text != (len(parts) % 2 == 0)


def _levels(plain: bytes, level: int) -> bytes:
    """How deep each byte stands; a bracket that closes stands where it goes back to."""
    steps = plain.translate(_STEPS)
    if not steps.strip(b"\0"):
        return bytes([level]) * len(steps)
    reached = accumulate(array("b", steps), initial=level)
    next(reached)
    try:
        levels = bytes(reached)
    except ValueError:
        opened = steps.count(b"\1") + level > DEPTH_MAX
        raise (TooDeep() if opened else _malformed("a bracket closes nothing")) from None
    if levels.translate(None, _LEVELS):
        raise TooDeep
    return levels


def _masked(levels: bytes, mask: bytes) -> bytes:
    both = int.from_bytes(levels, "little") & int.from_bytes(mask, "little")
    return both.to_bytes(len(levels), "little")


def _malformed(what: str) -> Exception:
    return msgspec.DecodeError(f"JSON is malformed: {what}")


class _Walk:
    """Goes through a text once."""

    def __init__(
        self, body: bytes, clean: bytes, commas: bytes, closers: bytes, *, for_signing: bool
    ) -> None:
        self._body = body
        self._clean = clean
        self._commas = commas
        self._closers = closers
        self._form = jcs if for_signing else canonical
        self._fields = jcs_fields if for_signing else fields

    def container(self, at: int, level: int) -> Turns[tuple[bytes, int]]:
        """The form of the list or object that begins there, and where it ends."""
        close = self._close(at, level)
        yield
        if self._body[at : at + 1] == b"[":
            items = yield from self._items(at + 1, close, level)
            return b"[" + b",".join(items) + b"]", close + 1
        chunks = yield from self._chunks(at + 1, close, level)
        entries = yield from _sorted_together(chunks)
        return b"{" + b",".join(entries) + b"}", close + 1

    def check_blank(self, at: int, end: int) -> None:
        """Raises ValueError if there is more."""
        if not self._is_blank(at, end):
            raise _malformed(f"unexpected characters (byte {_past_blank(self._body, at)})")

    def texts(self) -> list[bytes]:
        """The list that the whole text is, as texts of shorter lists."""
        at, level = _past_blank(self._body, 0), _OUTSIDE + 1
        close = self._close(at, level)
        self.check_blank(close + 1, len(self._body))
        return [b"[" + self._body[a:b] + b"]" for a, b in self._cuts(at + 1, close, level)]

    def _is_blank(self, at: int, end: int) -> bool:
        return _past_blank(self._body, at) >= end

    def _close(self, at: int, level: int) -> int:
        close = self._closers.find(level - 1, at)
        opened = self._body[at : at + 1]
        if close < 0 or self._body[close : close + 1] != (b"]" if opened == b"[" else b"}"):
            raise _malformed(f"what begins at byte {at} has no end")
        return close

    def _cuts(self, at: int, close: int, level: int) -> Iterator[tuple[int, int]]:
        """Where pieces of a container begin and end: as many elements as are short enough
        together, or one that is not."""
        begin = at
        while True:
            cut = close
            if close - at > PIECE_BYTES:
                cut = self._commas.rfind(level, at, at + PIECE_BYTES)
                if cut < 0 and (cut := self._commas.find(level, at, close)) < 0:
                    cut = close
            if self._is_blank(at, cut):
                if (at, cut) == (begin, close):
                    return
                raise _malformed(f"expected a value (byte {at})")
            yield at, cut
            if cut == close:
                return
            at = cut + 1

    def _items(self, at: int, close: int, level: int) -> Turns[list[bytes]]:
        items: list[bytes] = []
        for begin, end in self._cuts(at, close, level):
            if end - begin > PIECE_BYTES:
                items.append((yield from self._long(begin, end, level)))
            else:
                items.append(self._form(b"[" + self._body[begin:end] + b"]")[1:-1])
            yield
        return items

    def _chunks(self, at: int, close: int, level: int) -> Turns[list[_Chunk]]:
        chunks: list[_Chunk] = []
        for begin, end in self._cuts(at, close, level):
            if end - begin > PIECE_BYTES:
                chunks.append((yield from self._long_field(begin, end, level)))
            else:
                found = sorted(self._fields(b"{" + self._body[begin:end] + b"}"))
                chunks.append(([name for name, _ in found], [text for _, text in found]))
            yield
        return chunks

    def _long(self, at: int, end: int, level: int) -> Turns[bytes]:
        """One value that is long."""
        at = _past_blank(self._body, at)
        if self._body[at : at + 1] not in (b"[", b"{"):
            return self._form(self._body[at:end])
        form, over = yield from self.container(at, level + 1)
        self.check_blank(over, end)
        return form

    def _long_field(self, at: int, end: int, level: int) -> Turns[_Chunk]:
        """One field that is long, most likely for its value."""
        at = _past_blank(self._body, at)
        over = self._clean.find(b'"', at + 1, end) + 1
        colon = _past_blank(self._body, over)
        if self._body[at : at + 1] != b'"' or not over or self._body[colon : colon + 1] != b":":
            raise _malformed(f"expected a field (byte {at})")
        ((name, text),) = self._fields(b"{" + self._body[at:over] + b":0}")
        value = yield from self._long(colon + 1, end, level)
        return [name], [text[:-1] + value]


def _sorted_together(chunks: list[_Chunk]) -> Turns[list[bytes]]:
    """The texts of fields in order of their names; of those of one name the last."""
    ends = [names[-1] for names, _ in chunks]
    if all(end < names[0] for end, (names, _) in zip(ends, chunks[1:], strict=False)):
        return [b",".join(texts) for _, texts in chunks]
    merged: list[bytes] = []
    texts: list[bytes] = []
    last: bytes | None = None
    for name, text in merge(*map(_taken, chunks), key=itemgetter(0)):
        if name == last:
            texts[-1] = text
            continue
        if len(texts) == _MERGED_AT_ONCE:
            merged.append(b",".join(texts))
            texts.clear()
            yield
        texts.append(text)
        last = name
    return [*merged, b",".join(texts)]


def _taken(chunk: _Chunk) -> Iterator[tuple[bytes, bytes]]:
    """The fields of a chunk, which keeps none: to free all of them at once takes long, too."""
    names, texts = chunk
    names.reverse()
    texts.reverse()
    while names:
        yield names.pop(), texts.pop()
