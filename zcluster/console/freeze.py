"""`zcluster freeze REASON` and `zcluster thaw`: nothing moves by itself, until it may again.

What must hold: the commands return 0 only when a majority has agreed and the document says so; what a frozen
cluster lacks is said at once, by the sentence of `zcluster status`.
"""

from __future__ import annotations

import getpass
import os
import re
from pathlib import Path

from zcluster.adapters.control_socket import ask
from zcluster.console.status import SCHEMA as STATUS_SCHEMA
from zcluster.console.verdict import judge
from zcluster.console.wish import AGREEMENT_WAIT_S, EXIT_DONE, EXIT_REFUSED, answer_json, make_wish
from zcluster.console.words import paragraph, printable
from zcluster.control.frozen import LONGEST_MS, reason_fault
from zcluster.errors import ControlSocketError, ZclusterError

_SPAN = re.compile(r"([0-9]{1,6}) ?(s|min|m|h|d)")
_UNIT_MS = {"s": 1000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}


def freeze(socket_path: Path, reason: str, span: str | None, as_json: bool) -> int:
    """Freeze the cluster; 0 agreed, 1 refused. Raises ControlSocketError, and ZclusterError for what cannot be."""
    fault = reason_fault(reason)
    for_ms = 0
    try:
        for_ms = span_ms(span) if span is not None else 0
    except ZclusterError as error:
        fault = fault or str(error)
    if fault and as_json:
        print(answer_json({"ok": False, "error": fault}))
        return EXIT_REFUSED
    if fault:
        raise ZclusterError(fault)
    question = {"ask": "freeze", "reason": reason, "who": operator(), "for_ms": for_ms}
    status = make_wish(socket_path, question, as_json, AGREEMENT_WAIT_S)
    if status == EXIT_DONE and not as_json:
        _say_how_it_is(socket_path)
    return status


def thaw(socket_path: Path, as_json: bool) -> int:
    """End a freeze; 0 agreed (or nothing was frozen), 1 refused. Raises ControlSocketError."""
    return make_wish(socket_path, {"ask": "thaw", "who": operator()}, as_json, AGREEMENT_WAIT_S)


def span_ms(text: str) -> int:
    """Milliseconds of "90s", "30m", "2h" or "3d"; ZclusterError."""
    found = _SPAN.fullmatch(text.strip())
    if found is None or not int(found[1]):
        raise ZclusterError(f'{text!r} is no length of time: write "90s", "30m", "2h" or "3d"')
    length_ms = int(found[1]) * _UNIT_MS[found[2]]
    if length_ms > LONGEST_MS:
        raise ZclusterError(
            f"{text!r} is longer than thirty days; without --for it stays until `zcluster thaw`"
        )
    return length_ms


def operator() -> str:
    """Who types: the user behind sudo, else the user."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _say_how_it_is(socket_path: Path) -> None:
    try:
        status = ask(socket_path, {"ask": "status"})
    except ControlSocketError:
        return
    if status.get("schema") == STATUS_SCHEMA:
        print("\n".join(paragraph(printable(judge(status).sentence))))
