"""`zcluster clear-faults`: an operator says that the switch is well again; what that cleared, and what is still wrong.

What must hold: only what a condition of the file said is cleared; what is looked at all the time ends by itself. Where
the control process cannot be asked, it is cleared all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zcluster.adapters.control_socket import FILE_NAME as CONTROL_SOCKET
from zcluster.adapters.control_socket import ask
from zcluster.console.wish import EXIT_DONE, answer_json, make_wish
from zcluster.console.words import listed, paragraph, printable
from zcluster.errors import ControlSocketError

CONDITION = "switch condition "


def run(socket_path: Path, as_json: bool) -> int:
    """Ask, print, return the exit status of a wish. Raises ControlSocketError."""
    problems = _problems(socket_path.with_name(CONTROL_SOCKET))
    if problems is None:
        return make_wish(socket_path, {"ask": "clear"}, as_json)
    answer = ask(socket_path, {"ask": "clear"})
    if answer.get("ok") is not True:
        raise ControlSocketError(
            f"{socket_path}: {answer.get('error', 'not a data process of this version')}"
        )
    text = said(problems)
    print(answer_json({**answer, "text": text}) if as_json else "\n".join(paragraph(text)))
    return EXIT_DONE


def said(problems: Sequence[str]) -> str:
    """One or two sentences on what was known to be wrong with the switch when it was asked for."""
    cleared = [_plain(problem) for problem in problems if problem.startswith(CONDITION)]
    left = [_plain(problem) for problem in problems if not problem.startswith(CONDITION)]
    text = (
        f"Cleared: {listed(cleared)}." if cleared else "Nothing was to clear: no failure condition was met."
    )
    if left:
        text += f" Still wrong, until it is mended: {listed(left)} (`zcluster explain switch-not-well`)."
    return text


def _plain(problem: str) -> str:
    return printable(problem.removeprefix("switch: ").removeprefix("switch "))


def _problems(control: Path) -> list[str] | None:
    """What the daemon knows of this host's switch; None where that cannot be had."""
    try:
        switch = ask(control, {"ask": "status"}).get("switch")
    except ControlSocketError:
        return None
    return list(switch["problems"]) if isinstance(switch, dict) else None
