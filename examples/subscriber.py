"""Every event that one node hears, in order and each once: subscriber.py HOST READER-KEY (docs/bus.md)."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import msgpack
import zmq

host, key = sys.argv[1], json.loads(Path(sys.argv[2]).read_text())
published, questions = zmq.Context.instance().socket(zmq.SUB), zmq.Context.instance().socket(zmq.REQ)
for socket, port in ((published, key["port"]), (questions, key["port"] + 1)):
    socket.curve_serverkey, socket.curve_publickey = key["server"].encode(), key["public"].encode()
    socket.curve_secretkey, socket.rcvtimeo = key["secret"].encode(), 60_000  # a beat comes each second
    socket.connect(f"tcp://{host}:{port}")
published.subscribe("zc1.event."), published.subscribe("zc1.heartbeat.")
life, number, printed = 0, 0, set()  # how far we are with that daemon, and which records were printed
while news := msgpack.unpackb(published.recv_multipart()[1]):
    if (news["incarnation"], news["number"]) > (life, number):  # whatever was missed comes with it
        questions.send(msgpack.packb({"ask": "since", "incarnation": life, "number": number}))
        story = msgpack.unpackb(questions.recv())
        for record in (event["record"] for event in story["events"]):
            if (told := (record["node"], record["incarnation"], record["number"])) not in printed:
                printed.add(told)
                print(json.dumps(record), flush=True)
        life, number = story["incarnation"], (story["events"][-1] if story["more"] else story)["number"]
