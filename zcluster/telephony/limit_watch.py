"""Does our switch's mod_hash ask what the others use? Without an answer it counts its own sessions alone.

What must hold: that is said once for each silence of one or two SILENCE_MS, and so is its end; a switch that is
closed is not silent.
"""

from __future__ import annotations

from zcluster.telephony.actions import Tell

# Its shortest useful interval is far below; it tries again each interval while it cannot connect.
SILENCE_MS = 10_000


class RemoteWatch:
    """Owned by `Limits`. `port`: where mod_hash asks. `is_strict`: the file has limits that must never be passed."""

    def __init__(self, port: int, is_strict: bool) -> None:
        self._place = f"127.0.0.1:{port}"
        self._is_strict = is_strict
        self._due_ms: int | None = None
        self._has_asked = False
        self._was_told = False

    def open(self, now_ms: int) -> None:
        """The switch is here, and may ask from now on."""
        self._due_ms = now_ms + SILENCE_MS
        self._has_asked = False

    def close(self) -> None:
        """It is gone."""
        self._due_ms = None

    def ask(self) -> None:
        """It asked."""
        self._has_asked = True

    def deadline(self) -> int | None:
        """When `advance` has something to do."""
        return self._due_ms

    def advance(self, is_used: bool, now_ms: int) -> list[Tell]:
        """What is to be told. `is_used`: some limit is in use here, so that its number matters."""
        if self._due_ms is None or now_ms < self._due_ms:
            return []
        self._due_ms = now_ms + SILENCE_MS
        was_told, has_asked = self._was_told, self._has_asked
        self._has_asked = False
        if has_asked:
            self._was_told = False
            text = f"mod_hash asks {self._place}: the limits of this host are the cluster's"
            return [Tell("notice", "limits-remote", text, {})] if was_told else []
        if was_told or not (is_used or self._is_strict):
            return []
        self._was_told = True
        text = (
            f"mod_hash has not asked {self._place} for {SILENCE_MS // 1000} s: the limits of this host are its own "
            "alone. hash.conf.xml needs that remote, with the password of the event socket (conf/freeswitch)"
        )
        return [Tell("alarm" if self._is_strict else "warning", "limits-remote", text, {})]
