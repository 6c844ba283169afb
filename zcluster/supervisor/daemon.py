"""`zcluster run`: from a file and a host to a running node, and back.

What must hold, in this order: refuse clearly what cannot work (file, key, identity, a second daemon); stand the
gate closed and take away what a predecessor left before the first beat; run; on the way out hand over first.
Whatever ends this process, the kernel ends the lease. The one broad catch of the program is here: log, exit
non-zero, and let the service manager start it again.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from zcluster.adapters.journal import Record
from zcluster.adapters.log import defect, open_log
from zcluster.config.configuration import Configuration
from zcluster.config.keyfile import load_service_key
from zcluster.config.load import accepted, read
from zcluster.errors import ZclusterError
from zcluster.supervisor.assembly import assemble
from zcluster.supervisor.chronicle import wall_ms
from zcluster.supervisor.lock import take_lock
from zcluster.supervisor.observing import observed_place

EXIT_WELL = 0
EXIT_RESTART = 75  # EX_TEMPFAIL: a planned restart; start the next life at once, nothing was closed
EXIT_DEFECT = 70  # EX_SOFTWARE of sysexits.h


def run(
    config: Path,
    *,
    node_name: str | None = None,
    state_dir: Path | None = None,
    run_dir: Path | None = None,
) -> int:
    """Run this host's node until it is told to stop; the exit status. `state_dir`, `run_dir` replace the file's.

    Raises ZclusterError for what must be mended before it can run at all.
    """
    reading = read(config)
    configuration = _placed(accepted(reading, config), state_dir, run_dir)
    secret = load_service_key(configuration.key_file)
    lock = take_lock(configuration.run_dir)
    try:
        with assemble(configuration, secret, node_name, reading.content) as running:
            running.loop.run()
            ending = EXIT_RESTART if running.keeps_open else EXIT_WELL
    except ZclusterError:
        raise
    except Exception as error:
        # A defect. Nothing is mended here: the kernel ends the leases, the service manager starts us again.
        text = f"the daemon ends by a defect: {type(error).__name__}: {error}"
        record = Record(wall_ms(), node_name or "", "alarm", "daemon-failed", text, defect(error))
        with suppress(OSError, ValueError):
            open_log(configuration.log_format, sys.stderr, os.environ).write(record)
        return EXIT_DEFECT
    finally:
        lock.close()
    return ending


def _placed(configuration: Configuration, state_dir: Path | None, run_dir: Path | None) -> Configuration:
    kept_in = state_dir or configuration.state_dir
    return replace(
        configuration,
        state_dir=observed_place(kept_in) if configuration.is_observing else kept_in,
        run_dir=run_dir or configuration.run_dir,
    )
