"""Channels and their topics: what is published, where, and of which type. The only place that
judges their names."""

import re
from collections.abc import Mapping
from typing import Any, Generic, TypeVar, overload

import msgspec

from stepwell.sdk.errors import ConfigurationError
from stepwell.sdk.value.codec import PLAIN, UNSPECIFIED, Codec, CodecError, TypedCodec, codec_of
from stepwell.wire.realtime import TopicPlace, problem_of_name

T = TypeVar("T")

_BLANK = re.compile(r"{([A-Za-z_]\w*)}")


class Topic(Generic[T]):
    """One kind of message in a channel: `Topic("order:42", "status", Status)`.

    Names of channels may have blanks, as in "order:{order_id}", which `at` fills in.
    """

    @overload
    def __init__(self, channel: str, name: str, kind: type[T]) -> None: ...

    @overload
    def __init__(self: "Topic[Any]", channel: str, name: str, kind: object = ...) -> None: ...

    def __init__(self, channel: str, name: str, kind: object = UNSPECIFIED) -> None:
        """Name a topic.

        Args:
            channel: The channel's name, at most 256 characters.
            name: The topic's name within the channel, at most 256 characters.
            kind: The type of its messages, as results of steps have one: what is published must
                fit it, and subscribers get values of it. Without it, anything that JSON knows.

        Raises ConfigurationError for names that cannot be, and for types that cannot travel.
        """
        problem = problem_of_name("channel", channel) or problem_of_name("name", name)
        if problem:
            raise ConfigurationError(f"topic: {problem}")
        self.channel = channel
        self.name = name
        self.kind = kind
        try:
            self.codec = _codec_of(kind)
        except CodecError as error:
            raise ConfigurationError(f'topic "{name}": kind = {kind!r}: {error}') from None

    def __repr__(self) -> str:
        return f"<Topic {self.name} of {self.channel}>"

    def at(self, **blanks: object) -> "Topic[T]":
        """The topic in the channel that these values name. Raises ConfigurationError for a blank
        that is not filled in, and for a value that has none."""
        return Topic(filled(self.channel, blanks), self.name, self.kind)

    @property
    def place(self) -> TopicPlace:
        """Where it is. Raises ConfigurationError while the channel's name has blanks."""
        if _BLANK.search(self.channel):
            raise ConfigurationError(
                f'topic "{self.name}": channel = "{self.channel}" has blanks: fill them in, as in'
                f" topic.at({_BLANK.findall(self.channel)[0]}=...)"
            )
        return TopicPlace(self.channel, self.name)


def _codec_of(kind: object) -> Codec:
    """How messages travel: other than results, also those that JSON knows are held to their type,
    as somebody else may have written them."""
    if kind is UNSPECIFIED:
        return PLAIN
    codec = codec_of(kind)
    if codec is not PLAIN:
        return codec
    try:
        return TypedCodec(kind)
    except (TypeError, msgspec.ValidationError):
        return codec


class Channel:
    """A name under which topics are found: `Channel("order:{order_id}")`."""

    def __init__(self, name: str) -> None:
        """Name a channel, with blanks for what distinguishes its like. Raises ConfigurationError
        for what is no name."""
        problem = problem_of_name("name", name)
        if problem:
            raise ConfigurationError(f"channel: {problem}")
        self.name = name

    def __repr__(self) -> str:
        return f"<Channel {self.name}>"

    def at(self, **blanks: object) -> "Channel":
        """The channel that these values name; see `Topic.at`."""
        return Channel(filled(self.name, blanks))

    @overload
    def topic(self, name: str, kind: type[T]) -> Topic[T]: ...

    @overload
    def topic(self, name: str, kind: object = ...) -> Topic[Any]: ...

    def topic(self, name: str, kind: object = UNSPECIFIED) -> Topic[Any]:
        """A topic of this channel; see `Topic`."""
        return Topic(self.name, name, kind)


def filled(name: str, blanks: Mapping[str, object]) -> str:
    """A channel's name without blanks. Raises ConfigurationError."""
    wanted = _BLANK.findall(name)
    missing = [one for one in wanted if one not in blanks]
    unknown = [one for one in blanks if one not in wanted]
    if missing or unknown:
        found = ", ".join(wanted) or "none"
        told = f"{missing[0]} is missing" if missing else f"{unknown[0]} is not one of them"
        raise ConfigurationError(f'channel "{name}" has these blanks: {found}; {told}')
    return _BLANK.sub(lambda blank: str(blanks[blank[1]]), name)
