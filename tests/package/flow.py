#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""flow.py serve ADDRESS PORT | ask ADDRESS PORT FILE

A connection that talks ten times a second. `ask` writes to FILE how often it was answered over its
one connection, and as whom the server sees it; it ends when the connection does.
"""

import socket
import sys
import time


def serve(address, port):
    with socket.create_server((address, port)) as listener:
        peer, name = listener.accept()
        while peer.recv(1):
            peer.sendall(("%s:%d\n" % name).encode())


def ask(address, port, path):
    s = socket.create_connection((address, port), timeout=5)
    answers = s.makefile()
    n = 0
    while True:
        s.sendall(b"?")
        seen = answers.readline().strip()
        n += 1
        with open(path, "w", encoding="ascii") as f:
            f.write("%d %s\n" % (n, seen))
        time.sleep(0.1)


if sys.argv[1] == "serve":
    serve(sys.argv[2], int(sys.argv[3]))
else:
    ask(sys.argv[2], int(sys.argv[3]), sys.argv[4])
