"""`zcluster lab up` and the commands that talk to it: a laboratory that stays, to be played with.

What must hold: one thread does everything, so a fault asked for from another terminal is carried out like a
trial and nothing runs beside it; a daemon that ended is started again, as by a service manager. The socket lies
in the laboratory's own private directory.
"""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

from zcluster.console.status import render
from zcluster.errors import LabError
from zcluster.lab.catalogue import FAULTS
from zcluster.lab.laboratory import FOUNDING_LIMIT_S, Laboratory, check_node
from zcluster.lab.plan import GroupPlan, Plan
from zcluster.lab.program import this_program
from zcluster.lab.trial import run_trial
from zcluster.lab.world import newest_world

SOCKET = "lab.sock"
_ASK_LIMIT_S = 120.0
_REQUEST_BYTES = 4096
_LOOK_EVERY_S = 0.2
_HOW_TO = """\
In another terminal:
  {program} lab status              how the cluster is, and who answers on the wire
  {program} lab fault kill-host n1  break something, watch it, mend it ({faults})
  {program} lab shell n1            a shell inside a host; `zcluster status` works there
  {program} lab shell client        a shell where the telephones are
Ctrl-C ends everything and leaves nothing behind."""

Say = Callable[[str], None]


def up_work(plan: Plan, directory: Path) -> int:
    """The work of the world's first process: build, say how to play, serve requests until interrupted."""
    lab = Laboratory(directory, plan)
    try:
        lab.build()
        print(f"{len(plan.nodes)} nodes are starting; their logs are in {directory}", flush=True)
        lab.wait_until_well(FOUNDING_LIMIT_S)
        print(
            "\n".join(
                [*_state_lines(lab), "", _HOW_TO.format(program=this_program(), faults=", ".join(FAULTS))]
            ),
            flush=True,
        )
        _serve(lab)
    except LabError:
        print(lab.log_tails(), file=sys.stderr)
        raise
    except KeyboardInterrupt:
        print("\neverything ends")
    finally:
        lab.close()
    return 0


def ask_laboratory(request: Mapping[str, str]) -> int:
    """Send a request to the newest laboratory and print what it says; returns its exit status."""
    world = newest_world()
    path = world.directory / SOCKET
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_ASK_LIMIT_S)
        try:
            connection.connect(str(path))
        except OSError as error:
            raise LabError(
                "the laboratory that runs takes no requests (is it still being built, or a trial or demo?)"
            ) from error
        connection.sendall(json.dumps(dict(request)).encode() + b"\n")
        with connection.makefile("r", encoding="utf-8") as answer:
            status = 1
            for line in answer:
                said = json.loads(line)
                if "status" in said:
                    status = int(said["status"])
                else:
                    print(said["text"], flush=True)
    return status


def _serve(lab: Laboratory) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(lab.directory / SOCKET))
        listener.listen(4)
        listener.settimeout(_LOOK_EVERY_S)
        lab.is_service_manager = True
        while True:
            lab.collect()
            lab.observer.start_over()  # nobody judges what happens between two requests
            _start_again(lab)
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            with connection:
                _answer(lab, connection)


def _start_again(lab: Laboratory) -> None:
    """What somebody killed by hand lives again. Within a request this is for the fault to do."""
    for node, status in lab.ended_daemons().items():
        print(f"the daemon of {node} ended with status {status} and is started again", flush=True)
        lab.start_daemon(node)


def _answer(lab: Laboratory, connection: socket.socket) -> None:
    def say(text: str) -> None:
        connection.sendall(json.dumps({"text": text}).encode() + b"\n")

    connection.settimeout(2.0)
    try:
        request = json.loads(connection.recv(_REQUEST_BYTES))
        try:
            status = _carry_out(lab, request, say)
        except LabError as error:
            say(f"zcluster: {error}")
            status = 1
        connection.sendall(json.dumps({"status": status}).encode() + b"\n")
    except (OSError, ValueError):
        return  # who asked went away; what was begun has been ended


def _carry_out(lab: Laboratory, request: Mapping[str, str], say: Say) -> int:
    if request.get("do") == "fault":
        return _fault(lab, request["fault"], request.get("node", ""), say)
    for line in _state_lines(lab):
        say(line)
    return 0


def _fault(lab: Laboratory, name: str, node: str, say: Say) -> int:
    lab.wait_until_well()
    group = _group_of(lab, node) if node else lab.plan.groups[0]
    holder = lab.ownership(group.name).holder
    print(f"{name}: {holder}, which holds {group.name}", flush=True)
    say(f"{name} of {holder}, which holds {group.name}: {FAULTS[name].story}")
    result, trial = run_trial(lab, name, group, Random())
    for text in [result.words(), *trial.problems, *trial.notes]:
        say(text)
        print(text, flush=True)
    return 1 if trial.problems or result.answered_twice else 0


def _group_of(lab: Laboratory, node: str) -> GroupPlan:
    check_node(lab, node)
    held = {group.name: lab.ownership(group.name).holder for group in lab.plan.groups}
    for group in lab.plan.groups:
        if held[group.name] == node:
            return group
    holders = ", ".join(f"{holder} holds {name}" for name, holder in held.items())
    raise LabError(f"{node} holds no group, so there would be nothing to see; {holders}")


def _state_lines(lab: Laboratory) -> list[str]:
    statuses = lab.statuses()
    lines = render(statuses[sorted(statuses)[0]]) if statuses else ["no daemon answers"]
    lines.append("")
    for group in lab.plan.groups:
        for address in group.addresses:
            seen = lab.observer.latest(address)
            answers = lab.probes.is_answering(address, 100)
            where = f"answered by {seen.host}" if seen and answers else "does not answer"
            lines.append(f"{group.name}  {address:<14} {where}")
    return lines
