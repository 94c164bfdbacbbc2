"""What a worker remembers of its failures: how many in a row, which key, which gateways to avoid.

`backoff.py` judges one failure; this object says what led up to it. It forgets when a connection
has worked.
"""

from collections.abc import Callable

from stepwell.sdk.connect.backoff import (
    Closure,
    Situation,
    StartFailure,
    Verdict,
    after_close,
    after_start,
)
from stepwell.wire.connect_limit import REASON_AUTH_FAILED

EXCLUDED_FOR_S = 300.0


class Retries:
    """The memory behind each verdict. `keys` signing keys exist, numbered from 0."""

    def __init__(self, *, keys: int, delay_max_s: float, chance: Callable[[], float]) -> None:
        self._keys = keys
        self._delay_max_s = delay_max_s
        self._chance = chance
        self._excluded: dict[str, float] = {}
        self._failures = 0
        self._keys_refused = 0
        self._tokens_refused = 0
        self.key = 0
        """The number of the signing key to use next."""
        self.worked = False
        """A connection was ready at least once."""

    def avoid(self, group: str, now: float) -> None:
        """Ask for other gateways than this group's for a while; it is only a hint."""
        if group:
            self._excluded[group] = now + EXCLUDED_FOR_S

    def avoided(self, now: float) -> tuple[str, ...]:
        """The groups to avoid now."""
        self._excluded = {group: until for group, until in self._excluded.items() if until > now}
        return tuple(sorted(self._excluded))

    def key_accepted(self) -> None:
        """A start call worked."""
        self._keys_refused = 0

    def succeeded(self, group: str) -> None:
        """A connection is ready. Only `stable` forgets the failures: it may end at once."""
        self.worked = True
        self._tokens_refused = 0
        self._excluded.pop(group, None)

    def stable(self) -> None:
        """A connection has worked for a while."""
        self._failures = 0

    def start_failed(self, failure: StartFailure) -> Verdict:
        """Judge a failed start call."""
        if failure.status in {401, 403}:
            self._keys_refused += 1
        self._failures += 1
        return self._decided(after_start(failure, self._situation()))

    def attempt_failed(self, closure: Closure) -> Verdict:
        """Judge a socket that ended before it was ready."""
        if closure.reason == REASON_AUTH_FAILED:
            self._tokens_refused += 1
        self._failures += 1
        return self._decided(after_close(closure, self._situation()))

    def lost(self, closure: Closure) -> Verdict:
        """Judge the end of the active socket: the first try follows at once."""
        verdict = after_close(closure, self._situation())
        self._failures += 1
        return self._decided(verdict)

    def _decided(self, verdict: Verdict) -> Verdict:
        if verdict.switch_key and self._keys > 1:
            self.key = (self.key + 1) % self._keys
        return verdict

    def _situation(self) -> Situation:
        return Situation(
            failures=self._failures,
            first=not self.worked,
            keys=self._keys,
            keys_refused=self._keys_refused,
            tokens_refused=self._tokens_refused,
            chance=self._chance(),
            delay_max_s=self._delay_max_s,
        )
