"""Locks of transactions on names: the only place that lets one wait for another. As a database does
it: alone or together with others who ask for the same, kept until the transaction is over, and
whoever closes a circle of waiting is refused."""

from typing import TypeAlias

from stepwell.server.store.port import Conflict

Name: TypeAlias = tuple[str, str | int]
"""What is locked: a kind of row, and which."""


class Locks:
    """Who has what, and who waits for what. A transaction is known by a number."""

    def __init__(self) -> None:
        self._held: dict[Name, dict[int, bool]] = {}
        self._waits: dict[int, Name] = {}

    def take(self, who: int, name: Name, *, alone: bool = True) -> bool:
        """Lock a name, or begin to wait for it.

        Raises `Conflict` where that would never end.
        """
        if not self._others(who, name, alone=alone):
            self._waits.pop(who, None)
            held = self._held.setdefault(name, {})
            held[who] = held.get(who, False) or alone
            return True
        self._waits[who] = name
        if self._goes_in_a_circle(who, alone=alone):
            del self._waits[who]
            raise Conflict("whoever has these rows waits for ours")
        return False

    def is_free(self, who: int, name: Name) -> bool:
        """Whether nobody else has it, in whatever way."""
        return not self._others(who, name, alone=True)

    def holders(self, name: Name) -> list[int]:
        """Who has it."""
        return list(self._held.get(name, ()))

    def drop(self, who: int) -> None:
        """A transaction is over."""
        self._waits.pop(who, None)
        for name in [name for name, held in self._held.items() if who in held]:
            del self._held[name][who]
            if not self._held[name]:
                del self._held[name]

    def _others(self, who: int, name: Name, *, alone: bool) -> list[int]:
        held = self._held.get(name, {})
        return [other for other, is_alone in held.items() if other != who and (alone or is_alone)]

    def _goes_in_a_circle(self, who: int, *, alone: bool) -> bool:
        known: set[int] = set()
        left = self._others(who, self._waits[who], alone=alone)
        while left:
            other = left.pop()
            if other == who:
                return True
            if other not in known:
                known.add(other)
                name = self._waits.get(other)
                # In which way the other asks does not matter: it waits.
                left += [] if name is None else self.holders(name)
        return False
