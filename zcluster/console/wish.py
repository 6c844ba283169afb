"""A wish of an operator: asked over the control socket, answered by the core, printed.

What must hold: the exit status is 0 only when the cluster did or accepted it, and 1 when it refused, with the
reason on standard error; a daemon that cannot be asked is ControlSocketError, which the command line turns into 3.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from zcluster.adapters.control_socket import ask
from zcluster.console.words import printable
from zcluster.errors import ControlSocketError

SCHEMA = "zcluster.answer/1"
EXIT_DONE, EXIT_REFUSED, EXIT_NOT_REACHABLE = 0, 1, 3
MOVE_WAIT_S = 6.0
# The daemon answers an unanswered change of the document after 12 s; ours is only for a daemon that is stopped.
AGREEMENT_WAIT_S = 15.0


def make_wish(
    socket_path: Path, question: Mapping[str, object], as_json: bool, wait_s: float = MOVE_WAIT_S
) -> int:
    """Ask, print the answer, and return the exit status. Raises ControlSocketError, but not with `as_json`."""
    try:
        answer = ask(socket_path, question, wait_s)
    except ControlSocketError as error:
        if not as_json:
            raise
        print(answer_json({"ok": False, "error": str(error)}))
        return EXIT_NOT_REACHABLE
    is_accepted = answer.get("ok") is True
    if as_json:
        print(answer_json(answer))
    else:
        text = printable(str(answer.get("text") or answer.get("error") or "no reason given"))
        print(f"{'' if is_accepted else 'zcluster: '}{text}", file=sys.stdout if is_accepted else sys.stderr)
    return EXIT_DONE if is_accepted else EXIT_REFUSED


def answer_json(answer: Mapping[str, object]) -> str:
    """The answer to a wish as one JSON object."""
    return json.dumps({"schema": SCHEMA, **answer})
