"""Which registration of an app is a former one: the only place that puts the versions of an app in
order.

Pure. An app keeps what registrations it had, the oldest first. One that it had before, and has no
longer, is former: a worker that brings it is of an older version, or of one that was rolled back.
"""

from collections.abc import Iterable

from stepwell.server.engine.row.run import AppRow

FORMER_MAX = 20
"""So many registrations of an app are remembered beside its present one."""


def plain_checksum(checksum: str) -> str:
    """What two registrations with the same functions have in common: of a registration that keeps
    functions of older workers, what it would be without them."""
    return checksum.partition(",")[0]


def with_kept(checksum: str, slugs: Iterable[str]) -> str:
    """The checksum of a registration beside which these functions are kept."""
    return ",".join((checksum, *slugs))


def former_after(before: AppRow | None, checksum: str) -> tuple[str, ...]:
    """The former registrations of an app once one with this checksum takes the place of `before`.

    A registration that is only half made has no checksum, and is never former.
    """
    if before is None:
        return ()
    present = plain_checksum(checksum)
    had = dict.fromkeys((*before.former, plain_checksum(before.checksum)))
    return tuple([one for one in had if one and one != present][-FORMER_MAX:])


def is_former(app: AppRow | None, checksum: str) -> bool:
    """Did an app have this registration once, and has another one now?"""
    return app is not None and plain_checksum(checksum) in app.former


def age(app: AppRow | None, checksum: str) -> int:
    """The place of a registration among those of an app: later ones are greater, 0 if unknown."""
    if app is None:
        return 0
    plain = plain_checksum(checksum)
    if plain == plain_checksum(app.checksum):
        return len(app.former) + 1
    return app.former.index(plain) + 1 if plain in app.former else 0


def newest(app: AppRow, checksums: Iterable[str]) -> str | None:
    """Of these the former one that an app had last; None where it had none of them."""
    there = frozenset(plain_checksum(one) for one in checksums)
    return next((one for one in reversed(app.former) if one in there), None)
