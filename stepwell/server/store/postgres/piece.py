"""Statements that go to the database in one piece, and whose answers come in one: the only place
that sends several at once.

The driver's own pipeline sends each statement by itself, and waits for the socket each time, which
costs ten times as much as what it saves. Statements are prepared once for a connection; their
parameters are sent as the types that the database then says they have (`parameters.py`).
"""

import re
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, TypeAlias

import psycopg
from psycopg import pq
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.waiting import Ready, Wait

from stepwell.server.store.postgres.connection import Connection, Prepared, Wanted
from stepwell.server.store.postgres.parameters import ENCODE
from stepwell.server.store.postgres.waiting import answered

Row: TypeAlias = tuple[Any, ...]
Send: TypeAlias = Callable[[pq.abc.PGconn], None]

_PLACE = re.compile(rb"%(?:\((\w+)\))?([bs%])")


class Answer:
    """What a statement answers. To look at it sends the piece it is part of."""

    __slots__ = ("_piece", "_result")

    def __init__(self, piece: "Piece") -> None:
        self._piece = piece
        self._result: pq.abc.PGresult | None = None

    def came(self, result: pq.abc.PGresult) -> None:
        """It is there."""
        self._result = result

    def _come(self) -> pq.abc.PGresult:
        if self._result is None:
            self._piece.send()
        assert self._result is not None
        return self._result

    def __iter__(self) -> Iterator[Row]:
        """Its rows."""
        return iter(self._piece.rows(self._come()))

    def first(self) -> Row | None:
        """Its first row, if it has one."""
        return next(iter(self), None)

    @property
    def count(self) -> int:
        """How many rows it found or wrote."""
        return self._come().command_tuples or 0

    @property
    def tag(self) -> bytes:
        """What the database says it did."""
        return self._come().command_status or b""


class Piece:
    """What is asked on one connection and not sent yet."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._waiting: list[tuple[bytes, Wanted, Answer]] = []
        self._transformer = Transformer(connection)

    def ask(self, statement: bytes, wanted: Wanted = ()) -> Answer:
        """Add a statement, with `%b`, `%s` or `%(name)s` where its parameters stand."""
        answer = Answer(self)
        self._waiting.append((statement, wanted, answer))
        return answer

    def forget(self) -> None:
        """Send nothing of what is not sent yet."""
        self._waiting.clear()

    def send(self) -> None:
        """Send what was asked, and wait for all the answers.

        Raises the driver's errors: the first of them, where there are several.
        """
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        prepared = [prepared_on(self._connection, statement) for statement, _, _ in waiting]
        sends = [
            _sending(one, one.values(wanted))
            for one, (_, wanted, _) in zip(prepared, waiting, strict=True)
        ]
        results = _exchange(self._connection, sends)
        for result in results:
            if result.status == pq.ExecStatus.FATAL_ERROR:
                raise _error(self._connection, result)
        for (_, _, answer), result in zip(waiting, results, strict=True):
            answer.came(result)

    def rows(self, result: pq.abc.PGresult) -> list[Row]:
        """The rows of a result."""
        if not result.nfields:
            return []
        self._transformer.set_pgresult(result, set_loaders=True, format=pq.Format.BINARY)
        return self._transformer.load_rows(0, result.ntuples, tuple)


def prepared_on(connection: Connection, statement: bytes) -> Prepared:
    """A statement as a connection has it, from the first time on that it is asked for."""
    known = connection.prepared.get(statement)
    if known is None:
        known = connection.prepared[statement] = _prepare(connection, statement)
    return known


def _prepare(connection: Connection, statement: bytes) -> Prepared:
    names: list[str] = []
    count = 0

    def number(found: re.Match[bytes]) -> bytes:
        nonlocal count
        if found[2] == b"%":
            return b"%"
        if found[1] is None:
            count += 1
            return b"$%d" % count
        name = found[1].decode()
        if name not in names:
            names.append(name)
        return b"$%d" % (names.index(name) + 1)

    text = _PLACE.sub(number, statement)
    # Behind a pooler the next transaction finds nothing that this one prepared.
    name = b"" if connection.is_pooled else b"stepwell_%d" % len(connection.prepared)
    results = _exchange(
        connection,
        (lambda pg: pg.send_prepare(name, text), lambda pg: pg.send_describe_prepared(name)),
    )
    for result in results:
        if result.status != pq.ExecStatus.COMMAND_OK:
            raise _error(connection, result)
    told = results[1]
    encode = tuple(ENCODE[told.param_type(place)] for place in range(told.nparams))
    return Prepared(name, text, tuple(names), encode)


def _sending(statement: Prepared, values: list[bytes | None]) -> Send:
    formats = [pq.Format.BINARY] * len(values)

    def send(pg: pq.abc.PGconn) -> None:
        if statement.name:
            pg.send_query_prepared(statement.name, values, formats, pq.Format.BINARY)
        else:
            pg.send_query_params(statement.text, values, None, formats, pq.Format.BINARY)

    return send


def _exchange(connection: Connection, sends: Sequence[Send]) -> list[pq.abc.PGresult]:
    """The results of what is sent, one each."""
    pg = connection.pgconn
    pg.enter_pipeline_mode()
    try:
        for send in sends:
            send(pg)
        pg.pipeline_sync()
        results = answered(connection, _answers(pg))
    except BaseException:
        # Nobody can tell what is answered to what any more.
        connection.close()
        raise
    pg.exit_pipeline_mode()
    return results


def _error(connection: Connection, result: pq.abc.PGresult) -> psycopg.Error:
    if connection.closed:
        return psycopg.OperationalError(result.get_error_message())
    return error_from_result(result)


def _answers(connection: pq.abc.PGconn) -> Generator[Wait, Ready | int, list[pq.abc.PGresult]]:
    while connection.flush():
        if (yield Wait.RW) & Ready.R:
            connection.consume_input()
    results: list[pq.abc.PGresult] = []
    while True:
        while connection.is_busy():
            yield Wait.R
            connection.consume_input()
        result = connection.get_result()
        if result is None:
            if connection.status != pq.ConnStatus.OK:
                raise psycopg.OperationalError("the connection was lost")
        elif result.status == pq.ExecStatus.PIPELINE_SYNC:
            return results
        else:
            results.append(result)
