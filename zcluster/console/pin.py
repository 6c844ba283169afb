"""`zcluster pin GROUP NODE` and `zcluster unpin GROUP`: an operator's word that outlives restarts.

What must hold: the command returns 0 only when a majority has agreed and the document says so.
"""

from __future__ import annotations

from pathlib import Path

from zcluster.console.wish import AGREEMENT_WAIT_S, make_wish


def run(socket_path: Path, group: str, node_name: str, as_json: bool) -> int:
    """Pin the group to the node, or end its pin (""); 0 agreed, 1 refused. Raises ControlSocketError."""
    question = {"ask": "pin", "group": group, "to": node_name}
    return make_wish(socket_path, question, as_json, AGREEMENT_WAIT_S)
