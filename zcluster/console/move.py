"""`zcluster move GROUP [--to NODE]`: a switchover now, and what became of it.

What must hold: the command returns 0 only when the cluster accepted the move; it names the next command.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from zcluster.adapters.control_socket import ask

EXIT_REFUSED = 1
ANSWER_WAIT_S = 6.0


def run(socket_path: Path, group: str, node_name: str | None, as_json: bool) -> int:
    """Ask for the move; 0 accepted, 1 refused. Raises ControlSocketError."""
    answer = ask(socket_path, {"ask": "move", "group": group, "to": node_name or ""}, ANSWER_WAIT_S)
    is_accepted = answer.get("ok") is True
    if as_json:
        print(json.dumps(answer))
    else:
        text = answer.get("text") or answer.get("error") or "no reason given"
        print(f"{'' if is_accepted else 'zcluster: '}{text}", file=sys.stdout if is_accepted else sys.stderr)
    return 0 if is_accepted else EXIT_REFUSED
