"""`zcluster restart-daemon`: end the daemon so that its next life goes on where it stood, and nothing moves.

What must hold: the command returns 0 only when the voters have promised to wait; where they have not, nothing
was restarted and nothing has moved.
"""

from __future__ import annotations

from pathlib import Path

from zcluster.console.wish import make_wish


def run(socket_path: Path, as_json: bool) -> int:
    """Ask for it; 0 the daemon ends now, 1 refused. Raises ControlSocketError."""
    return make_wish(socket_path, {"ask": "restart"}, as_json)
