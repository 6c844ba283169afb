"""A daemon as the tools process sees it: a control socket that tells a story and answers with a status."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.tools import canned
from zcluster.adapters.control_socket import FILE_NAME, ControlSocket
from zcluster.adapters.journal import Record

NODE = "n1"
INCARNATION = 7000


def told(number: int, code: str = "takeover", node: str = NODE, incarnation: int = INCARNATION) -> Record:
    """What `node` told as its record of that number."""
    text = f"{node} tells {number}"
    return Record(
        1_800_000_000_000 + number, node, "notice", code, text, {"group": "g1"}, incarnation, number
    )


class SmallDaemon:
    """`ring`: numbers and records. `is_answering`: whether it says anything at all."""

    def __init__(self, run_dir: Path, incarnation: int = INCARNATION) -> None:
        self.incarnation = incarnation
        self.ring: list[tuple[int, Record]] = []
        self.statuses = 0
        self.questions: list[Mapping[str, object]] = []
        self.is_answering = True
        self.lost = 0
        self.refusal = ""
        self._followers: list[int] = []
        self._socket = ControlSocket(run_dir / FILE_NAME)

    def tell(self, record: Record) -> None:
        """Take a record in, and pass it on."""
        self.ring.append((self.newest + 1, record))
        for client in self._followers:
            self._send(client, *self.ring[-1])

    def drop(self, number: int) -> None:
        """Followers did not read: so many are lost to them."""
        for client in self._followers:
            self._socket.answer(client, {"lost": number})

    @property
    def newest(self) -> int:
        """The number of the last record."""
        return self.ring[-1][0] if self.ring else 0

    def turn(self) -> None:
        """Answer what waits."""
        for request in self._socket.receive():
            self.questions.append(request.body)
            if self.is_answering:
                self._answer(request.client, request.body)

    def _answer(self, client: int, body: Mapping[str, Any]) -> None:
        if body["ask"] == "status" and self.refusal:
            self._socket.answer(client, {"ok": False, "error": self.refusal})
            return
        if body["ask"] == "status":
            self.statuses += 1
            self._socket.answer(client, self.status())
            return
        is_same = body.get("incarnation") == self.incarnation
        begin = body["from"] if is_same else 0
        head = {"schema": "zcluster.follow/1", "ok": True, "node": NODE, "incarnation": self.incarnation}
        self._socket.answer(client, {**head, "number": self.newest, "lost": self.lost if is_same else 0})
        for number, record in self.ring:
            if number > begin:
                self._send(client, number, record)
        self._followers.append(client)

    def status(self) -> Mapping[str, object]:
        """A whole status document; `answers` counts them."""
        return canned.status(node=NODE, incarnation=self.incarnation, answers=self.statuses)

    def _send(self, client: int, number: int, record: Record) -> None:
        self._socket.answer(client, {"number": number, "record": record.plain()})

    def close(self) -> None:
        """It is gone, with its socket."""
        self._socket.close()


class Heard:
    """An outlet that keeps what it is told."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.statuses: list[Mapping[str, Any]] = []
        self.reasons: list[str] = []

    def filenos(self) -> tuple[int, ...]:
        return ()

    def deadline(self) -> int | None:
        return None

    def turn(self, now_ms: int) -> None:
        pass

    def record(self, record: Record) -> None:
        self.records.append(record)

    def status(self, document: Mapping[str, Any]) -> None:
        self.statuses.append(document)

    def unreachable(self, reason: str) -> None:
        self.reasons.append(reason)

    def counts(self) -> Mapping[str, int]:
        return {"records": len(self.records)}

    def close(self) -> None:
        pass

    def texts(self) -> Sequence[str]:
        return [record.text for record in self.records]


Until = Callable[[], bool]
