"""The worker's end of a WebSocket: the library's, without its queues.

The library writes frame by frame and wakes a task per message; under load most of the connection's
time would go into that. Here everything there is to write goes to the system at once, and binary
messages are handed on as they arrive.
"""

from collections.abc import Callable, Sequence

from websockets.asyncio.client import ClientConnection
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State


class WebSocket(ClientConnection):
    """A connection as the library makes it; what is not binary is received its way."""

    _hear: Callable[[bytes], None] | None = None
    _early: tuple[bytes, ...] = ()
    _parts: list[bytes] | None = None
    _full = False

    def listen(self, hear: Callable[[bytes], None]) -> None:
        """From now on binary messages go there, those that came before first."""
        early, self._early = self._early, ()
        self._hear = hear
        for message in early:
            hear(message)

    def send_now(self, frames: Sequence[bytes]) -> bool:
        """Write binary messages without waiting; False, and nothing written, if that cannot be."""
        if self._full or self.protocol.state is not State.OPEN or self.transport.is_closing():
            return False
        for frame in frames:
            self.protocol.send_binary(frame)
        self.send_data()
        return True

    def process_event(self, event: Frame | Request | Response) -> None:
        """Put binary messages together and hand them on; the rest is the library's."""
        if not isinstance(event, Frame) or not self._is_binary(event):
            super().process_event(event)
            return
        message = bytes(event.data)
        if self._parts is not None:
            self._parts.append(message)
            message = b"".join(self._parts) if event.fin else b""
        elif not event.fin:
            self._parts = [message]
        if not event.fin:
            return
        self._parts = None
        if self._hear is None:
            self._early += (message,)
        else:
            self._hear(message)

    def _is_binary(self, frame: Frame) -> bool:
        continued = frame.opcode is Opcode.CONT and self._parts is not None
        return continued or frame.opcode is Opcode.BINARY

    def send_data(self) -> None:
        """Write what the protocol has to say, joined unless it ends with a half-close."""
        writes = self.protocol.data_to_send()
        self.protocol.writes = [b"".join(writes)] if len(writes) > 1 and all(writes) else writes
        super().send_data()

    def pause_writing(self) -> None:
        """The system takes no more for now."""
        super().pause_writing()
        self._full = True

    def resume_writing(self) -> None:
        """It does again."""
        super().resume_writing()
        self._full = False
