"""The command in a real terminal (tmux), beside a daemon that answers: keys, sizes, signals, and a daemon that dies."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

LIMIT_S = 60.0
SHELL_SIGN = "back-in-the-shell"
TMUX = shutil.which("tmux")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(TMUX is None and not os.environ.get("CI"), reason="needs tmux: apt-get install tmux"),
]


class Daemon:
    """`bench.canned_daemon` as a process of its own, to be killed and begun again."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.begin()

    def begin(self) -> None:
        command = [sys.executable, "-c", "from bench.canned_daemon import main; main()"]
        command += ["--dir", str(self.directory), "--nodes", "20", "--groups", "16"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def signal(self, number: int) -> None:
        self.process.send_signal(number)
        if number == signal.SIGKILL:
            self.process.wait()

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


class Tmux:
    """One window with a shell in which `zcluster top` was begun."""

    def __init__(self, directory: Path, command: str, is_stopped_once: bool, **environment: str) -> None:
        self._socket = str(directory / "tmux.sock")
        base = {key: value for key, value in os.environ.items() if key not in ("TMUX", "NO_COLOR")}
        self._environment = {**base, "SHELL": "/bin/sh", "LC_ALL": "C.UTF-8", **environment}
        self.pid_file = directory / "top.pid"
        script = directory / "run.sh"
        # Ctrl-C is for what runs in the shell, not for it. The shell tells the exit status, and whether there is an
        # echo again.
        lines = ["trap : INT", f"echo $$ > {self.pid_file}"]
        again = ["echo Stopped", "read line", "fg >/dev/null"] if is_stopped_once else []
        lines += ["set -m", command, *again] if is_stopped_once else [command]
        lines += [
            f"status=$?; echo {SHELL_SIGN} status $status $(stty -a | grep -o -w -e '-*icanon' -e '-*echo')"
        ]
        script.write_text("\n".join([*lines, "cat", ""]))
        self.run("-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", "-s", "t", f"sh {script}")

    def run(self, *words: str) -> str:
        done = subprocess.run(
            [TMUX or "tmux", "-S", self._socket, *words],
            env=self._environment, capture_output=True, text=True, check=False, timeout=LIMIT_S,
        )  # fmt: skip
        assert done.returncode == 0 or words[0] == "kill-server", done.stderr
        return done.stdout

    def keys(self, *keys: str) -> None:
        for key in keys:
            self.run("send-keys", "-t", "t", key)

    def text(self, *options: str) -> str:
        return self.run("capture-pane", "-p", *options, "-t", "t")

    def shows(self, *words: str, without: str = "") -> str:
        """Wait until all the words are seen; the screen."""

        def is_seen(text: str) -> bool:
            return all(word in text for word in words) and not (without and without in text)

        return wait_for(self.text, is_seen, f"{words}, not {without!r}")

    def top_pid(self) -> int:
        """The process in the foreground: the shell's only child."""
        shell = int(self.pid_file.read_text())

        def child() -> str:
            return Path(f"/proc/{shell}/task/{shell}/children").read_text()

        return int(wait_for(child, lambda text: bool(text.strip()), "a process of the shell").split()[0])

    def end(self) -> None:
        self.run("kill-server")


def wait_for(look: Callable[[], str], is_well: Callable[[str], bool], what: str) -> str:
    limit = time.monotonic() + LIMIT_S
    seen = look()
    while not is_well(seen):
        assert time.monotonic() < limit, f"never saw {what}; but:\n{seen}"
        time.sleep(0.05)
        seen = look()
    return seen


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    found = Daemon(tmp_path)
    yield found
    found.end()


Begin = Callable[..., Tmux]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    windows: list[Tmux] = []

    def begun(*options: str, before: str = "", is_stopped_once: bool = False, **environment: str) -> Tmux:
        words = [
            sys.executable,
            "-m",
            "zcluster",
            "top",
            "--socket",
            str(tmp_path / "control.sock"),
            *options,
        ]
        window = Tmux(tmp_path, " ".join([before, *words]), is_stopped_once, **environment)
        windows.append(window)
        return window

    yield begun
    for window in windows:
        window.end()


def is_back(window: Tmux, status: int) -> None:
    """The program is gone, and the terminal is as it was: the first screen, a cursor, echo, lines."""
    seen = window.shows(SHELL_SIGN)
    assert f"{SHELL_SIGN} status {status} icanon echo" in " ".join(seen.split()), seen
    assert "DEGRADED" not in seen
    flags = window.run("display-message", "-p", "-t", "t", "#{alternate_on} #{cursor_flag} #{wrap_flag}")
    assert flags.split() == ["0", "1", "1"]


def test_keys_work_and_q_gives_the_terminal_back(daemon: Daemon, begin: Begin) -> None:
    window = begin()
    window.shows("DEGRADED", ">sip1 ", "pbx20", "q quit")
    window.keys("NPage")
    window.shows(">sip", "sip16 ")
    window.keys("Tab", "Enter")
    window.shows("Node pbx20", "silent for")
    window.keys("Escape")
    window.shows("STORY")
    window.keys("/", "s", "i", "p", "7", "Enter")
    window.shows('only rows with "sip7"', ">pbx7", without="sip8 ")
    window.keys("Escape", "g", "Home", "?")
    window.shows("Keys", "Shift-Tab")
    window.keys("q")
    is_back(window, 0)


def test_a_move_is_done_after_y_and_seen(daemon: Daemon, begin: Begin) -> None:
    window = begin()
    window.shows(">sip1 ")
    window.keys("m")
    window.shows("MOVE  sip1 from pbx1 to pbx17?")
    window.keys("y")
    seen = window.shows("sip1 moves from pbx1 to pbx17", "moved from pbx1, 11 ms")
    assert any(row.split()[:2] == [">sip1", "pbx17"] for row in seen.splitlines()), seen
    window.keys("w")
    window.shows("an operator asked for the move")
    window.keys("C-c")
    is_back(window, 0)


def test_a_daemon_that_dies_is_told_and_its_return_too(daemon: Daemon, begin: Begin) -> None:
    window = begin()
    window.shows("DEGRADED", ">sip1 ", without=" OLD ")
    daemon.signal(signal.SIGKILL)
    window.shows(" OLD ", "has ended without cleaning up", ">sip1 ", "pbx20")
    window.keys("m")
    window.shows("Nothing can be moved while the daemon does not answer")
    daemon.end()
    daemon.begin()
    window.shows("DEGRADED", ">sip1 ", without=" OLD ")
    daemon.signal(signal.SIGSTOP)
    window.shows(" OLD ", "is it stopped?")
    daemon.signal(signal.SIGCONT)
    window.shows("DEGRADED", without=" OLD ")
    daemon.signal(signal.SIGKILL)
    window.shows(" OLD ")
    window.keys("q")
    is_back(window, 0)


def test_it_waits_for_a_daemon_that_is_not_there_yet(tmp_path: Path, begin: Begin) -> None:
    window = begin()
    window.shows("WAITING", "no daemon listens at")
    found = Daemon(tmp_path)
    try:
        window.shows("DEGRADED", "sip1")
    finally:
        found.end()
    window.keys("q")
    is_back(window, 0)


def test_it_follows_the_size_of_the_terminal(daemon: Daemon, begin: Begin) -> None:
    window = begin()
    window.shows("DEGRADED", "of 20")
    window.run("resize-window", "-t", "t", "-x", "200", "-y", "60")
    seen = window.shows("FREESWITCH", "pbx19", "sip16", "STREAM ")
    assert len(seen.rstrip("\n").splitlines()) == 60
    window.run("resize-window", "-t", "t", "-x", "60", "-y", "10")
    seen = window.shows("DEGRADED", "GROUP", without="FREESWITCH")
    assert all(len(row) <= 60 for row in seen.splitlines())
    window.run("resize-window", "-t", "t", "-x", "80", "-y", "24")
    window.shows("q quit", "of 20")
    window.keys("q")
    is_back(window, 0)


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGQUIT, 131), (signal.SIGINT, 0)],
)
def test_signals_that_end_it_give_the_terminal_back(
    daemon: Daemon, begin: Begin, number: int, status: int
) -> None:
    window = begin()
    window.shows("DEGRADED")
    os.kill(window.top_pid(), number)
    is_back(window, status)


def test_stopped_and_continued_it_gives_the_terminal_back_and_takes_it_again(
    daemon: Daemon, begin: Begin
) -> None:
    window = begin(is_stopped_once=True)
    window.shows("DEGRADED", ">sip1 ")
    window.keys("C-z")
    window.shows("Stopped", without="DEGRADED")
    window.keys("Enter")
    window.shows("DEGRADED", ">sip1 ", "q quit", without="Stopped")
    window.keys("Down")
    window.shows(">sip2 ")
    window.keys("q")
    is_back(window, 0)


def test_an_error_of_ours_gives_the_terminal_back(daemon: Daemon, begin: Begin, tmp_path: Path) -> None:
    broken = tmp_path / "sitecustomize.py"
    broken.write_text(
        "import zcluster.console.top.run as run\n"
        "def fails(*_):\n    raise RuntimeError('a defect')\n"
        "run.press = fails\n"
    )
    window = begin(PYTHONPATH=str(tmp_path))
    window.shows("DEGRADED")
    window.keys("x")
    is_back(window, 1)
    assert "RuntimeError: a defect" in window.text("-S", "-50")


def test_without_colour_nothing_is_coloured(daemon: Daemon, begin: Begin) -> None:
    window = begin(NO_COLOR="1")
    window.shows("DEGRADED")
    assert not re.search(r"\x1b\[[0-9;]*\b(3|4|9|10)[0-7]\b", window.text("-e"))
    window.keys("q")
    is_back(window, 0)


def test_with_colour_the_verdict_is_loud(daemon: Daemon, begin: Begin) -> None:
    window = begin()
    window.shows("DEGRADED")
    assert "\x1b[43m" in window.text("-e").split(" DEGRADED")[0]
    window.keys("q")
    is_back(window, 0)


def test_a_terminal_that_cannot_be_painted_on_gets_one_frame(daemon: Daemon, begin: Begin) -> None:
    window = begin(before="TERM=dumb")
    seen = window.shows("NODE", SHELL_SIGN)
    assert f"{SHELL_SIGN} status 1" in seen


def once(tmp_path: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "zcluster", "top", "--socket", str(tmp_path / "control.sock"), *options]
    return subprocess.run(
        words,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def test_once_prints_one_frame_for_scripts(daemon: Daemon, tmp_path: Path) -> None:
    done = once(tmp_path, "--once", COLUMNS="100")
    rows = done.stdout.rstrip("\n").split("\n")
    assert done.returncode == 1
    assert "\x1b" not in done.stdout
    assert max(map(len, rows)) <= 100
    assert len(rows) <= 24
    assert "pbx20 is silent" in done.stdout
    assert "pbx20 fell silent" in done.stdout
    done = once(tmp_path, "--once", "--width", "200", "--height", "60")
    assert all(f" pbx{number}" in done.stdout for number in range(1, 21))
    assert once(tmp_path, COLUMNS="80").stdout.startswith("office")


def test_once_without_a_daemon_says_why(tmp_path: Path) -> None:
    done = once(tmp_path, "--once")
    assert done.returncode == 3
    assert "no daemon listens at" in done.stderr
    assert not done.stdout
