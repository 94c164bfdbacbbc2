"""What a program publishes, as it travels: the only place that refuses what cannot."""

from typing import cast

from stepwell.sdk.errors import ConfigurationError, Error
from stepwell.sdk.realtime.port import Publication
from stepwell.sdk.realtime.topic import Topic
from stepwell.sdk.value.codec import UNSPECIFIED, CodecError, encode_any
from stepwell.wire.realtime import MESSAGE_BYTES_MAX


def publication_of(topic: object, data: object, run_id: str = "") -> Publication:
    """A message to a topic. Raises ConfigurationError for what is no topic, Error for data that
    does not fit it or is too large."""
    if not isinstance(topic, Topic):
        raise ConfigurationError(
            f'topic = {topic!r}: give a Topic, as in Topic("order:42", "status")'
        )
    given = cast("Topic[object]", topic)
    place = given.place
    named = f'topic "{place.topic}" of channel "{place.channel}"'
    try:
        raw = encode_any(data) if given.kind is UNSPECIFIED else given.codec.encode(data)
        given.codec.decode(raw)
    except CodecError as error:
        raise Error(f"{named}: data cannot be written as JSON of its type: {error}") from None
    if len(raw) > MESSAGE_BYTES_MAX:
        raise Error(
            f"{named}: data has {len(raw)} bytes, at most {MESSAGE_BYTES_MAX} are allowed: publish"
            " less, or where it is"
        )
    return Publication(place, raw, run_id)
