"""A fake of the data process for tests: it answers by a script, and watches no switch.

python fake_data_process.py FD BEHAVIOUR

    echo     tells what it is told, as Told messages whose code is the kind; ends with the pair, or at Stop
    once     says that the switch is well, then ends with status 3
    deaf     says Figures and reads nothing
    mute     reads nothing and says nothing
    noise    says what is no message, then goes on as echo
    closing  closes its end and goes on
    babble   says Figures without end
"""

from __future__ import annotations

import socket
import sys
import time
from contextlib import suppress

from zcluster.wire.local_link import (
    LARGEST_PACKET_BYTES,
    Completeness,
    Figures,
    Groups,
    Health,
    Message,
    PacketReader,
    Peers,
    Stop,
    Told,
    packets,
)


def main(descriptor: int, behaviour: str) -> int:
    pair = socket.socket(fileno=descriptor)
    match behaviour:
        case "once":
            say(pair, Health("switch", ""), Told("notice", "fake", "farewell"))
            return 3
        case "deaf":
            while True:
                say(pair, Figures({"alive": 1}))
                time.sleep(0.05)
        case "mute":
            time.sleep(600)
        case "closing":
            pair.close()
            time.sleep(600)
        case "babble":
            while True:
                say(pair, Figures({"alive": 1}))
        case "noise":
            pair.send(b"\0\xc1")
            pair.send(b"what")
            say(pair, Groups())
            echo(pair)
        case _:
            with suppress(ConnectionResetError):
                echo(pair)
    return 0


def echo(pair: socket.socket) -> None:
    say(pair, Health("switch", ""), Completeness((("pbx2", 100),), True), Figures({"alive": 1}))
    reader = PacketReader()
    while packet := pair.recv(LARGEST_PACKET_BYTES):
        match reader.read(packet):
            case Groups(own):
                say(
                    pair,
                    Told(
                        "info",
                        "groups",
                        "",
                        {"groups": tuple(f"{o.group} {o.counter} {o.is_open}" for o in own)},
                    ),
                )
            case Peers(peers, _):
                say(pair, Told("info", "peers", "", {"peers": tuple(peer.node for peer in peers)}))
            case Stop():
                return


def say(pair: socket.socket, *messages: Message) -> None:
    for message in messages:
        for packet in packets(message):
            pair.send(packet)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2]))
