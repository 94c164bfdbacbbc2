"""What steps say while they run, until their results take it along. Without I/O."""

from collections.abc import Iterable, Mapping
from threading import Lock

import msgspec

from stepwell.sdk.errors import Error
from stepwell.wire import ai
from stepwell.wire.limit import METADATA_SPAN_BYTES_MAX
from stepwell.wire.metadata import EXPERIMENT, MetadataUpdate, Values, encode_updates

_ARGUMENTS = msgspec.json.Decoder(list[msgspec.Raw])
_ANY = msgspec.json.Decoder(object)


class Noted:
    """What the steps of a call say, by their hashed ids; said from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._said: dict[str, list[MetadataUpdate]] = {}
        self._over: set[str] = set()

    def add(self, step_id: str, updates: Iterable[MetadataUpdate], scope: str) -> bool:
        """Have a step take updates along; False if its result has left, or takes scores of another
        variant along: those beside it would count for that one.

        Raises Error, and takes none of them, where they are too much.
        """
        with self._lock:
            if step_id in self._over:
                return False
            said = [*self._said.get(step_id, ())]
            for update in updates:
                scoped = msgspec.structs.replace(update, scope=scope)
                if any(_is_other_variant(one, scoped) for one in said):
                    return False
                _join(said, scoped)
            self._said[step_id] = said
            return True

    def says(self, step_id: str, kind: str) -> bool:
        """Does a step say something under this name already?"""
        return any(one.kind == kind for one in self._said.get(step_id, ()))

    def take(self, step_id: str) -> msgspec.Raw | None:
        """What a step says, now that it is over."""
        with self._lock:
            self._over.add(step_id)
            said = self._said.pop(step_id, None) if self._said else None
        return None if said is None else encode_updates(said)


def note_answer(
    noted: Noted, step_id: str, data: msgspec.Raw, given: msgspec.Raw | None, duration_ns: int
) -> None:
    """Note what a model's answer tells of itself, if a step gave one and nothing told it before."""
    if noted.says(step_id, ai.KIND):
        return
    listed = [] if given is None else _ARGUMENTS.decode(given)
    asked: object = next((_ANY.decode(one) for one in listed if bytes(one)[:1] == b"{"), None)
    told = ai.told_of(asked, _ANY.decode(data), duration_ns // 1_000_000)
    if told:
        noted.add(step_id, (ai_update(told),), "step")


def ai_update(told: Mapping[str, object]) -> MetadataUpdate:
    """What tells it of a step."""
    values = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in told.items()}
    return MetadataUpdate(ai.KIND, values, "set")


def _join(said: list[MetadataUpdate], update: MetadataUpdate) -> None:
    """Say it together with what was said of the same, where that comes to the same: some servers
    let what comes later under a name take the place of all before."""
    same = [at for at, one in enumerate(said) if _slot(one) == _slot(update)]
    if same and update.op == "set":
        said[same[0]] = update
        for place in reversed(same[1:]):
            del said[place]
        return
    if same and update.op == "merge" and said[same[-1]].op in ("set", "merge"):
        last = said[same[-1]]
        values: Values = {**last.values, **update.values}
        said[same[-1]] = msgspec.structs.replace(last, values=values)
        check_size(said[same[-1]])
        return
    said.append(update)


def _slot(update: MetadataUpdate) -> tuple[str, str]:
    return update.kind, update.scope


def _is_other_variant(one: MetadataUpdate, update: MetadataUpdate) -> bool:
    if update.kind != EXPERIMENT or update.op != "merge" or _slot(one) != _slot(update):
        return False
    return any(one.values.get(name) != value for name, value in update.values.items())


def check_size(update: MetadataUpdate) -> None:
    """Raises Error for more than servers keep under one name."""
    size = len(msgspec.json.encode(update.values))
    if size > METADATA_SPAN_BYTES_MAX:
        raise Error(
            f"{update.kind}: {size} bytes, at most {METADATA_SPAN_BYTES_MAX} are allowed: say less,"
            " or store it elsewhere and say where"
        )
