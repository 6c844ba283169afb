"""`zcluster` starts light: what a subcommand needs is imported when it is called."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("pydantic", "pyroute2", "rich", "zmq", "msgpack", "asyncio")


def loaded_by(statement: str) -> set[str]:
    """The heavy packages that a fresh interpreter has loaded after that statement."""
    program = f"import sys\n{statement}\nprint(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_command_line_loads_nothing_heavy() -> None:
    assert loaded_by("import zcluster.cli") == set()


def test_help_loads_nothing_heavy() -> None:
    statement = (
        "from click.testing import CliRunner\n"
        "from zcluster.cli import commands\n"
        "assert 'lab' in CliRunner().invoke(commands, ['--help']).output"
    )
    assert loaded_by(statement) == set()


def test_the_probe_sees_what_is_loaded() -> None:
    assert loaded_by("import zcluster.config.load") == {"pydantic"}
