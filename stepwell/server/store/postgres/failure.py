"""The driver's exceptions in the port's words. The only place that knows PostgreSQL's errors."""

from collections.abc import Generator
from contextlib import contextmanager

import psycopg
from psycopg import errors

from stepwell.server.store.port import Conflict, Corrupt, StoreError, Unavailable, Unstorable


def translated(error: psycopg.Error, name: str) -> StoreError:
    """What a failure means to the ledger, with the database and the fix in the message."""
    match error:
        case errors.UniqueViolation():
            return Conflict(f"a row that must be new is in {name} already: {error}")
        case errors.SerializationFailure() | errors.DeadlockDetected():
            return Conflict(f"somebody else changed the same rows of {name}: {error}")
        case errors.DivisionByZero():
            return Conflict(f"somebody else changed the same rows of {name} first")
        case errors.LockNotAvailable():
            return Conflict(f"somebody else holds rows of {name} for too long: {error}")
        case errors.ProgramLimitExceeded():
            return Unstorable(f"a value is too large for a row of {name}: {error}")
        case errors.DiskFull():
            return Unavailable(f"no space is left for {name}; free some: {error}")
        case errors.ReadOnlySqlTransaction():
            return Unavailable(f"{name} takes no writes; give the address of the primary server")
        case errors.UndefinedTable() | errors.InvalidSchemaName() | errors.UndefinedColumn():
            return Corrupt(f"{name} has not the tables of this version: {error}")
        case errors.InsufficientPrivilege():
            return Unavailable(f"the user may not do this in {name}: {error}")
        case psycopg.DataError():
            return Unstorable(f"a value fits no row of {name}: {error}")
        case psycopg.OperationalError():
            return Unavailable(f"{name} cannot be reached: {error}")
        case _:
            return Unavailable(f"{name} failed: {error}")


@contextmanager
def in_our_words(name: str) -> Generator[None]:
    """Translates whatever the driver raises inside."""
    try:
        yield
    except psycopg.Error as error:
        raise translated(error, name) from error
    except UnicodeEncodeError as error:
        raise Unstorable(f"a value fits no row of {name}: {error}") from error
