#!/usr/bin/env python3
"""Calls the greeter from a plain REQ socket: two frames there, two frames back. See README.md."""
import sys
import zmq
from greeter_pb2 import HelloReply, HelloRequest

socket = zmq.Context.instance().socket(zmq.REQ)
socket.linger, socket.rcvtimeo = 0, 5_000  # milliseconds; with no answer by then it raises zmq.Again
socket.connect(sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5555")
socket.send_multipart([b"examples.greeter.v1.Greeter/SayHello", HelloRequest(name="Ada").SerializeToString()])
status, body = socket.recv_multipart()
print(HelloReply.FromString(body).text if not status else status)
