"""The core's database, written as FreeSWITCH writes it: by a thread that gathers statements into batches.

What must hold: a statement is carried out only some 100 ms after it was given; `recovery` outlives a restart, the
other tables do not; triggers that others have installed are carried out; a database that is locked is tried again
every 100 ms; a running recover holds a read lock. Source: switch_core_sqldb.c, switch_core_db.c 84-97.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import suppress

from zcluster.lab.fake_switch import rows
from zcluster.lab.fake_switch.outputs import Write
from zcluster.lab.fake_switch.recovery import StoredRow

BUSY_RETRY_MS = 100
# How long a reader waits; the real one 30 s, but in a thread that holds up nothing else.
LOCK_WAIT_S = 2.0
QUEUE_STATEMENTS = 100_000
_FOREIGN = "technology='sofia' and runtime_uuid!=? and profile_name=?"


class CoreDatabase:
    """One file, one writer. `lag_ms`: how long a statement waits."""

    def __init__(self, path: str, lag_ms: int) -> None:
        """Raises sqlite3.Error for a path that is no database."""
        self.failed_statements = 0
        self._lag_ms = lag_ms
        self._queue: list[Write] = []
        self._due_ms: int | None = None
        self._writer = _open(path)
        for statement in rows.RECOVERY_SCHEMA:
            self._writer.execute(statement)
        for table, columns in rows.VOLATILE.items():
            self._writer.execute(f"drop table if exists {table}")
            self._writer.execute(rows.schema(table, columns))
        self._writer.execute("pragma busy_timeout=0")
        # Opened last: a schema that was read before is only looked at again where no lock is in the way.
        self._reader = _open(path)

    def close(self) -> None:
        """What was not carried out is lost."""
        self._reader.close()
        self._writer.close()

    def push(self, write: Write, now_ms: int) -> None:
        """For the next batch."""
        if len(self._queue) < QUEUE_STATEMENTS:
            self._queue.append(write)
        if self._due_ms is None:
            self._due_ms = now_ms + self._lag_ms

    def deadline(self) -> int | None:
        """When the next batch is due."""
        return self._due_ms

    def advance(self, now_ms: int) -> None:
        """Carries the batch out if it is due; later where somebody holds the database."""
        if self._due_ms is None or now_ms < self._due_ms:
            return
        try:
            self._writer.execute("begin exclusive")
        except sqlite3.OperationalError:
            self._due_ms = now_ms + BUSY_RETRY_MS
            return
        self._carry_out()
        self._writer.execute("commit")
        self._due_ms = now_ms + self._lag_ms if self._queue else None

    def foreign_rows(self, core_uuid: str, profile: str) -> Iterator[StoredRow]:
        """The rows that recover takes, read one by one: a read lock stands until the last."""
        statement = f"select uuid, metadata from recovery where {_FOREIGN}"
        try:
            for uuid, metadata in self._reader.execute(statement, (core_uuid, profile)):
                yield StoredRow(str(uuid), str(metadata))
        except (
            sqlite3.OperationalError
        ):  # locked for too long: FreeSWITCH logs that and recovers nothing more
            self.failed_statements += 1

    def delete_foreign_rows(self, core_uuid: str, profile: str) -> bool:
        """After recover, whether or not calls came of them. False while somebody has the database: try again."""
        try:
            self._writer.execute(f"delete from recovery where {_FOREIGN}", (core_uuid, profile))
        except sqlite3.OperationalError:
            return False
        return True

    def flush_rows(self, profile: str) -> None:
        """`recover flush`: deletes without looking whose they are."""
        self._queue.append(
            Write("delete from recovery where technology='sofia' and profile_name=?", (profile,))
        )
        self._due_ms = 0

    def select(self, statement: str) -> list[dict[str, str]]:
        """Rows as texts by column; none where the database stays locked."""
        try:
            cursor = self._reader.execute(statement)
            names = [column[0] for column in cursor.description]
            texts = [["" if value is None else str(value) for value in row] for row in cursor]
        except sqlite3.OperationalError:
            self.failed_statements += 1
            return []
        return [dict(zip(names, row, strict=True)) for row in texts]

    def _carry_out(self) -> None:
        batch, self._queue = self._queue, []
        for write in batch:
            try:
                self._writer.execute(write.statement, write.values)
            except (
                sqlite3.Error
            ):  # a trigger of somebody else's may be broken: FreeSWITCH logs that and goes on
                self.failed_statements += 1


def _open(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=LOCK_WAIT_S, isolation_level=None)
    with suppress(sqlite3.OperationalError):
        connection.execute("pragma journal_mode=off")
    connection.execute("pragma synchronous=off")
    return connection
