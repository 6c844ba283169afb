"""Every event that one node hears, in order and each once: subscriber.py HOST READER-KEY (docs/bus.md)."""

import json
import sys
from pathlib import Path

import msgpack
import zmq

host, key = sys.argv[1], json.loads(Path(sys.argv[2]).read_text())
published, questions = zmq.Context.instance().socket(zmq.SUB), zmq.Context.instance().socket(zmq.REQ)
questions.req_relaxed = questions.req_correlate = True  # one that is not answered may be asked again
for socket, port in ((published, key["port"]), (questions, key["port"] + 1)):
    socket.curve_serverkey, socket.curve_publickey = key["server"].encode(), key["public"].encode()
    socket.curve_secretkey = key["secret"].encode()
    socket.connect(f"tcp://{host}:{port}")
published.subscribe("zc1.event."), published.subscribe("zc1.heartbeat.")  # a heartbeat comes each second
life, number, printed = 0, 0, set()  # how far we are with that daemon, and which records were printed
while news := msgpack.unpackb(published.recv_multipart()[1]):
    if (news["incarnation"], news["number"]) > (life, number):  # whatever was missed comes with it
        questions.send(msgpack.packb({"ask": "since", "incarnation": life, "number": number}))
        if not questions.poll(5000):
            continue  # the node is away, or we stood still: the next heartbeat asks again
        story = msgpack.unpackb(questions.recv())
        for record in (event["record"] for event in story["events"]):
            if (told := (record["node"], record["incarnation"], record["number"])) not in printed:
                printed.add(told)
                print(json.dumps(record), flush=True)
        life, number = story["incarnation"], (story["events"][-1] if story["more"] else story)["number"]
