from __future__ import annotations

import socket
from pathlib import Path

from zcluster.supervisor.service_manager import ServiceManager


def test_it_speaks_to_the_named_socket(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(1)
        service = ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "3000000"})
        service.ready("node n1, SLAVE")
        service.alive()
        service.stopping()
        service.close()
        said = [systemd.recv(200) for _ in range(3)]
    assert said == [b"READY=1\nSTATUS=node n1, SLAVE", b"WATCHDOG=1", b"STOPPING=1"]
    assert service.watchdog_ms == 1500


def test_without_one_nothing_happens(tmp_path: Path) -> None:
    for environment in ({}, {"NOTIFY_SOCKET": str(tmp_path / "gone"), "WATCHDOG_USEC": "soon"}):
        service = ServiceManager(environment)
        service.ready("up")
        assert service.watchdog_ms == 0
        service.close()
