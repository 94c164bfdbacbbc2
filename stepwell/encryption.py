"""End-to-end encryption: what functions and steps return, and a part of every event's data.

The server stores ciphertext only. The format is that of the official encryption packages
(`inngest/libsodium`): either side reads what the other wrote. Needs the extra `encryption`.

Law: what was encrypted and cannot be decrypted with any key fails the call; it never reaches a
handler as it is.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from stepwell.sdk.extra import Extra

with Extra("encryption", "encryption"):
    import nacl.encoding
    import nacl.exceptions
    import nacl.hash
    import nacl.secret

from stepwell.sdk.errors import ConfigurationError, NonRetriableError
from stepwell.sdk.events.event import Event
from stepwell.sdk.middleware.hook import MiddlewareSync
from stepwell.sdk.middleware.memos import StepMemos
from stepwell.sdk.middleware.result import RunResult, TransformOutputResult
from stepwell.wire.event import FUNCTION_CANCELLED, FUNCTION_FAILED, FUNCTION_FINISHED

ENCRYPTION_MARKER = "__ENCRYPTED__"
STRATEGY_MARKER = "__STRATEGY__"
STRATEGY = "inngest/libsodium"
EVENT_FIELD = "encrypted"

_INVOKE = "InvokeFunction"
_OF_RUNS = frozenset({FUNCTION_FAILED, FUNCTION_FINISHED, FUNCTION_CANCELLED})


class DecryptionError(NonRetriableError):
    """Data was encrypted with a key that is not known here; see docs/errors.md."""


def _box(name: str, key: bytes | str) -> nacl.secret.SecretBox:
    """The box of a key: a passphrase is hashed, bytes are a key written in hexadecimal digits."""
    if not key:
        raise ConfigurationError(f"{name} is empty: give a passphrase, or 64 hexadecimal digits")
    if isinstance(key, str):
        key = nacl.hash.generichash(key.encode(), digest_size=nacl.secret.SecretBox.KEY_SIZE)
    try:
        return nacl.secret.SecretBox(key, encoder=nacl.encoding.HexEncoder)
    except (ValueError, nacl.exceptions.CryptoError):
        raise ConfigurationError(
            f"{name}: keys given as bytes are 64 hexadecimal digits, such as"
            " secrets.token_hex(32).encode()"
        ) from None


class Cipher:
    """Encrypts with one key, decrypts with any of several."""

    def __init__(self, key: bytes | str, fallbacks: Sequence[bytes | str] = ()) -> None:
        """Raises ConfigurationError for a key that cannot be used."""
        names = ["secret_key", *(f"fallback_decryption_keys[{i}]" for i in range(len(fallbacks)))]
        self._boxes = [_box(n, k) for n, k in zip(names, [key, *fallbacks], strict=True)]

    def encrypt(self, value: object) -> dict[str, object]:
        """A JSON value as ciphertext with its markers; what is encrypted already as it is."""
        if is_encrypted(value):
            return cast(dict[str, object], value)
        text = self._boxes[0].encrypt(
            json.dumps(value).encode(), encoder=nacl.encoding.Base64Encoder
        )
        return {ENCRYPTION_MARKER: True, STRATEGY_MARKER: STRATEGY, "data": text.decode()}

    def decrypt(self, value: Any) -> Any:
        """The JSON value; what is not encrypted as it is. Raises DecryptionError."""
        if not is_encrypted(value):
            return value
        text = str(value.get("data")).encode()
        for box in self._boxes:
            try:
                return json.loads(box.decrypt(text, encoder=nacl.encoding.Base64Encoder))
            except (ValueError, nacl.exceptions.CryptoError):
                continue
        raise DecryptionError(
            "data was encrypted with a key that is not known here: pass it in"
            " fallback_decryption_keys"
        )


def is_encrypted(value: object) -> bool:
    """Is this ciphertext with its markers?"""
    if not isinstance(value, Mapping):
        return False
    found = cast(Mapping[str, object], value)
    return found.get(ENCRYPTION_MARKER) is True and found.get(STRATEGY_MARKER) == STRATEGY


def _is_event(value: object) -> bool:
    """Has this the shape of an event, as JSON?"""
    if not isinstance(value, Mapping):
        return False
    found = cast(Mapping[str, object], value)
    return isinstance(found.get("name"), str) and isinstance(found.get("data"), Mapping)


class EncryptionMiddleware(MiddlewareSync):
    """Encrypts results and a field of events on their way out, decrypts them on their way in.

    Register `EncryptionMiddleware.factory(key)` with the client. Names of events and steps and the
    other fields of events stay readable: the server works by them. Arguments of steps are kept from
    the server, messages of errors are not. Register it first, so that other middleware sees
    everything in plain.
    """

    def __init__(
        self,
        client: Any,
        raw_request: object,
        secret_key: bytes | str,
        *,
        decrypt_only: bool = False,
        event_encryption_field: str = EVENT_FIELD,
        fallback_decryption_keys: Sequence[bytes | str] | None = None,
        cipher: Cipher | None = None,
    ) -> None:
        super().__init__(client, raw_request)
        self._cipher = cipher or Cipher(secret_key, fallback_decryption_keys or ())
        self._decrypt_only = decrypt_only
        self._field = event_encryption_field

    @classmethod
    def factory(
        cls,
        secret_key: bytes | str,
        *,
        decrypt_only: bool = False,
        event_encryption_field: str = EVENT_FIELD,
        fallback_decryption_keys: Sequence[bytes | str] | None = None,
    ) -> "Callable[[Any, object], EncryptionMiddleware]":
        """What is registered.

        Args:
            secret_key: A passphrase, or a key of 32 bytes as 64 hexadecimal digits in bytes.
            decrypt_only: Encrypt nothing: for the first deployment of a rollout, or the last.
            event_encryption_field: The field of event data that is encrypted.
            fallback_decryption_keys: Keys of data that was encrypted earlier.

        Raises ConfigurationError for a key that cannot be used.
        """
        cipher = Cipher(secret_key, fallback_decryption_keys or ())

        def make(client: Any, raw_request: object) -> EncryptionMiddleware:
            return cls(
                client,
                raw_request,
                secret_key,
                decrypt_only=decrypt_only,
                event_encryption_field=event_encryption_field,
                cipher=cipher,
            )

        return make

    def before_send_events(self, events: list[Event]) -> None:
        """Encrypt the field in each event that has it. The caller's events stay as they are."""
        if self._decrypt_only:
            return
        for index, event in enumerate(events):
            events[index] = event.copy(data=self._sealed(event.data))

    def transform_input(self, ctx: Any, function: Any, steps: StepMemos) -> None:
        """Decrypt what is known of steps, events they waited for among it, and the run's events."""
        for output in steps.values():
            if is_encrypted(output.data):
                output.data = self._cipher.decrypt(output.data)
            elif _is_event(output.data):
                output.data = self._event(output.data)
        for event in {id(event): event for event in (ctx.event, *ctx.events)}.values():
            event.data = self._data(event.name, event.data)

    def transform_output(self, result: TransformOutputResult) -> None:
        """Encrypt what a step or the function returned, and the data of an invocation."""
        if self._decrypt_only:
            return
        if result.has_output():
            result.output = self._cipher.encrypt(result.output)
        step = result.step
        if step is None or step.opts is None:
            return
        step.opts.pop("input", None)
        payload = step.opts.get("payload")
        if step.op == _INVOKE and isinstance(payload, dict):
            told = cast(dict[str, Any], payload)
            step.opts["payload"] = {**told, "data": self._sealed(told.get("data"))}

    def read_result(self, result: RunResult) -> None:
        """Decrypt what a run returned that ordinary code started."""
        result.data = self._cipher.decrypt(result.data)

    def _sealed(self, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        found = cast(Mapping[str, object], data)
        if found.get(self._field) is None:
            return found
        return {**found, self._field: self._cipher.encrypt(found[self._field])}

    def _event(self, event: Any) -> Any:
        """An event as JSON, in plain; anything else as it is."""
        if not _is_event(event):
            return event
        return {**event, "data": self._data(event["name"], event["data"])}

    def _data(self, name: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Event data in plain; where the server tells of a run, so are the events of that run."""
        opened = self._opened(data)
        if name not in _OF_RUNS:
            return opened
        told = {"event": self._event(opened.get("event"))} if "event" in opened else {}
        if isinstance(events := opened.get("events"), list):
            told["events"] = list(map(self._event, cast(list[object], events)))
        return {**opened, **told}

    def _opened(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Event data in plain: encrypted as a whole, or in one of its fields."""
        if is_encrypted(data):
            inner = self._cipher.decrypt(data)
            if not isinstance(inner, dict):
                raise DecryptionError("the data of an event was encrypted, but is no object")
            own = (ENCRYPTION_MARKER, STRATEGY_MARKER, "data")
            beside = {key: value for key, value in data.items() if key not in own}
            return {**beside, **cast(dict[str, Any], inner)}
        return {key: self._cipher.decrypt(value) for key, value in data.items()}
