"""`zcluster move GROUP [--to NODE]`: a switchover now, and what became of it.

What must hold: the command returns 0 only when the cluster accepted the move; it names the next command.
"""

from __future__ import annotations

from pathlib import Path

from zcluster.console.wish import make_wish


def run(socket_path: Path, group: str, node_name: str | None, as_json: bool) -> int:
    """Ask for the move; 0 accepted, 1 refused. Raises ControlSocketError."""
    return make_wish(socket_path, {"ask": "move", "group": group, "to": node_name or ""}, as_json)
