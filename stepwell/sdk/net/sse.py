"""Server-sent events out of bytes as they arrive. Pure."""

import re
from typing import Final, NamedTuple

TEXT_MAX: Final = 8 * 1024 * 1024
"""Of one event: several times what a message may have."""
_END = re.compile(rb"\r\n|\n|\r(?!$)")


class TooLong(ValueError):
    """An event that does not end."""


class Block(NamedTuple):
    """One event: its name ("" is "message"), its data, and the id of the last event so far."""

    event: str
    data: str
    id: str


class Blocks:
    """Takes bytes in any pieces, and gives the events that are whole."""

    def __init__(self) -> None:
        self._rest = b""
        self._event = ""
        self._data: list[str] = []
        self._size = 0
        self._id = ""

    def feed(self, piece: bytes) -> list[Block]:
        """The events that end in this piece; one without data may bear an id. Raises TooLong."""
        *lines, self._rest = _END.split(self._rest + piece)
        found: list[Block] = []
        for line in lines:
            if line:
                self._field(line.decode(errors="replace"))
            else:
                found.append(Block(self._event, "\n".join(self._data), self._id))
                self._event, self._data, self._size = "", [], 0
        if self._size + len(self._rest) > TEXT_MAX:
            raise TooLong(f"an event of the server has more than {TEXT_MAX} bytes")
        return found

    def _field(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
            self._size += len(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self._id = value
