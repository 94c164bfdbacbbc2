"""Who listens to what: every registered function, looked up by id, by event name and by app.

A catalog is a value: registering makes a new one. Trigger conditions are compiled once, when the
function is registered or loaded.
"""

import re
from collections.abc import Iterable, Mapping
from typing import TypeAlias

import msgspec

from stepwell.expr.dialect import ExpressionError, Program, compile_expression
from stepwell.server.engine.row.flow import FlowKey
from stepwell.server.engine.row.run import AppRow, FunctionRow
from stepwell.server.engine.state.flow_state import NOTHING_SPECIAL, FlowState, flow_state
from stepwell.server.flow.plan import Plan, plan_of
from stepwell.wire.function_config import (
    CODE_PIN,
    Cancel,
    FunctionConfig,
    decode_function,
    max_attempts,
)
from stepwell.wire.identifier import function_uuid


class Trigger(msgspec.Struct, frozen=True):
    """One reason for a function to start: an event pattern with a condition, or a schedule."""

    event: str = ""
    condition: Program | None = None
    cron: str = ""
    jitter: str = ""


class Listing(msgspec.Struct, frozen=True):
    """A function as the engine uses it. Without flow control it has no plan."""

    slug: str
    app: str
    name: str
    version: int
    attempts_max: int
    triggers: tuple[Trigger, ...]
    cancels: tuple[Cancel, ...]
    config: FunctionConfig
    plan: Plan | None = None

    @property
    def crons(self) -> tuple[Trigger, ...]:
        """Its schedules."""
        return tuple(trigger for trigger in self.triggers if trigger.cron)


class Listener(msgspec.Struct, frozen=True):
    """A function, and the triggers of it that an event of some name may satisfy, in order."""

    listing: Listing
    triggers: tuple[Trigger, ...]


class AppGone(msgspec.Struct, frozen=True):
    """An app is no longer there."""

    name: str


class FunctionGone(msgspec.Struct, frozen=True):
    """A function is no longer there."""

    slug: str


CatalogChange: TypeAlias = AppRow | FunctionRow | AppGone | FunctionGone | FlowKey
"""Flow keys are of the kinds in `flow_state.KINDS`."""


class Catalog:
    """All apps and functions. Immutable; `changed` returns another one."""

    def __init__(
        self,
        apps: Mapping[str, AppRow],
        listings: Mapping[str, Listing],
        flow: FlowState = NOTHING_SPECIAL,
    ) -> None:
        """`flow` is what is known of flow control."""
        self.apps = apps
        self.listings = listings
        self.flow = flow
        self.paused, self.cooled, self.limits = flow.paused, flow.cooled, flow.limits
        self._patterns: dict[str, list[Listing]] | None = None
        self._heard: dict[str, tuple[Listener, ...]] = {}
        self._pinned: dict[str, tuple[str, ...]] | None = None

    @classmethod
    def of(
        cls,
        apps: Iterable[AppRow],
        functions: Iterable[FunctionRow],
        flow_keys: Iterable[FlowKey] = (),
    ) -> "Catalog":
        """The catalog a store starts with."""
        listings = (listing_of(function) for function in functions)
        return cls(
            {app.name: app for app in apps},
            {entry.slug: entry for entry in listings},
            flow_state(flow_keys),
        )

    def listing(self, slug: str) -> Listing | None:
        """A function by its composite id."""
        return self.listings.get(slug)

    def named(self, name: str) -> Listing | None:
        """A function by its composite id or its UUID."""
        known = self.listings.get(name)
        if known is not None or not _UUID.fullmatch(name):
            return known
        return next((e for slug, e in self.listings.items() if function_uuid(slug) == name), None)

    def listeners(self, event_name: str) -> tuple[Listener, ...]:
        """Functions with a trigger whose pattern the name matches, each with those triggers."""
        known = self._heard.get(event_name)
        if known is None:
            known = self._find_listeners(event_name)
            if len(self._heard) < _NAMES_REMEMBERED_MAX:
                self._heard[event_name] = known
        return known

    def _find_listeners(self, event_name: str) -> tuple[Listener, ...]:
        wanted = set(patterns_of(event_name))
        by_pattern = self._by_pattern()
        found = {e.slug: e for pattern in wanted for e in by_pattern.get(pattern, ())}
        return tuple(
            Listener(entry, tuple([t for t in entry.triggers if t.event in wanted]))
            for _, entry in sorted(found.items())
        )

    def _by_pattern(self) -> Mapping[str, list[Listing]]:
        """Functions by what they listen to: made when the first event asks, because each part of a
        long registration makes a catalog of its own."""
        if self._patterns is None:
            patterns: dict[str, list[Listing]] = {}
            for listing in self.listings.values():
                for trigger in listing.triggers:
                    if trigger.event:
                        patterns.setdefault(trigger.event, []).append(listing)
            self._patterns = patterns
        return self._patterns

    def named_by(self, limit: str) -> tuple[str, ...]:
        """The functions that name a limit, by id."""
        listings = self.listings.values()
        return tuple(
            entry.slug for entry in listings if any(u.name == limit for u in entry.config.limits)
        )

    def of_app(self, app: str) -> tuple[Listing, ...]:
        """The functions of one app."""
        return tuple(entry for entry in self.listings.values() if entry.app == app)

    def pinned_of_app(self, app: str) -> tuple[str, ...]:
        """The functions of an app whose runs stay with the code they began under."""
        if self._pinned is None:
            pinned = [e for e in self.listings.values() if e.config.code.on_change == CODE_PIN]
            apps = {entry.app for entry in pinned}
            self._pinned = {
                name: tuple(entry.slug for entry in pinned if entry.app == name) for name in apps
            }
        return self._pinned.get(app, ())

    def changed(self, changes: Iterable["CatalogChange"]) -> "Catalog":
        """Another catalog, in which these things are so, in their order. An app that is gone takes
        its functions with it."""
        apps, listings, flow = dict(self.apps), dict(self.listings), self.flow
        for change in changes:
            match change:
                case AppRow():
                    apps[change.name] = change
                case FunctionRow():
                    listings[change.slug] = listing_of(change)
                case AppGone():
                    apps.pop(change.name, None)
                    for slug in [s for s, entry in listings.items() if entry.app == change.name]:
                        del listings[slug]
                case FunctionGone():
                    listings.pop(change.slug, None)
                case FlowKey():
                    flow = flow.with_row(change)
        return Catalog(apps, listings, flow)


_NAMES_REMEMBERED_MAX = 10_000
_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def patterns_of(event_name: str) -> list[str]:
    """Every trigger pattern an event name satisfies: itself, and each prefix before `/` or `.`
    with a `*`."""
    patterns = [event_name]
    for index, letter in enumerate(event_name):
        if letter in "/.":
            patterns.append(event_name[: index + 1] + "*")
    return patterns


def listing_of(function: FunctionRow) -> Listing:
    """A stored function, ready for use. Its configuration was checked when it was registered."""
    config = decode_function(function.config)
    triggers = tuple(
        Trigger(
            event=trigger.event,
            condition=_program(trigger.expression),
            cron=trigger.cron,
            jitter=trigger.jitter,
        )
        for trigger in config.triggers
    )
    return Listing(
        slug=function.slug,
        app=function.app,
        name=function.name,
        version=function.version,
        attempts_max=max_attempts(config),
        triggers=triggers,
        cancels=config.cancel,
        config=config,
        plan=plan_of(config),
    )


def _program(source: str) -> Program | None:
    if not source:
        return None
    try:
        return compile_expression(source)
    except ExpressionError:
        # Refused at registration; one stored by an older version must not stop the server.
        return compile_expression("false")


EMPTY = Catalog({}, {})
