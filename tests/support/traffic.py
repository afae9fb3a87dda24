# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets: servers that answer with the address they were asked from, and what asks them.

All sockets are made inside their namespace and then used by threads of the test.
"""

import collections
import hashlib
import select
import socket
import struct
import threading
import time

import rtnl
from netns import wait_until
from tap import patience

PORT = 5000


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _make_room(sock):
    """What comes while others have the processor waits, however little the machine grants."""
    sock.setsockopt(socket.SOL_SOCKET, rtnl.SO_RCVBUFFORCE, 4 << 20)


class _Server:
    def __init__(self, ns, kind, address, port):
        self.socket = ns.socket(family_of(address), kind)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((address, port))
        self.going = True
        self.thread = threading.Thread(target=self._serve, daemon=True)
        ns.world.closing.append(self.stop)

    def _ready(self, wait=0.1):
        return select.select([self.socket], [], [], max(0.0, wait))[0]

    def stop(self):
        self.going = False
        if self.thread.is_alive():
            self.thread.join(2)
        self.socket.close()


class UdpEcho(_Server):
    """Answers each datagram with the address it came from, a space, and the datagram.

    With a delay, in seconds, answers are under way for so long.
    """

    def __init__(self, ns, address, port=PORT, delay=0.0):
        super().__init__(ns, socket.SOCK_DGRAM, address, port)
        _make_room(self.socket)
        self.delay = delay
        self.waiting = collections.deque()  # (when, data, peer)
        self.thread.start()

    def _serve(self):
        while self.going:
            if self._ready(self.waiting[0][0] - time.monotonic() if self.waiting else 0.1):
                data, peer = self.socket.recvfrom(65536)
                self.waiting.append((time.monotonic() + self.delay, data, peer))
            while self.waiting and self.waiting[0][0] <= time.monotonic():
                self._answer(*self.waiting.popleft()[1:])

    def _answer(self, data, peer):
        try:
            self.socket.sendto(peer[0].encode() + b" " + data, peer)
        except OSError:
            pass  # no way back: the asker will notice


class UdpWho(UdpEcho):
    """Answers with the address and the port that it was asked from."""

    def _answer(self, data, peer):
        try:
            self.socket.sendto(b"%s %d" % (peer[0].encode(), peer[1]), peer)
        except OSError:
            pass  # no way back: the asker will notice


class TcpEcho(_Server):
    """Says where the connection comes from, takes all that is sent, and ends with its SHA-256."""

    def __init__(self, ns, address, port=PORT):
        super().__init__(ns, socket.SOCK_STREAM, address, port)
        self.socket.listen(64)
        self.thread.start()

    def _serve(self):
        while self.going:
            if self._ready():
                connection, peer = self.socket.accept()
                threading.Thread(target=self._one, args=(connection, peer[0]),
                                 daemon=True).start()

    @staticmethod
    def _one(connection, peer):
        digest = hashlib.sha256()
        try:
            with connection:
                connection.sendall(peer.encode() + b"\n")
                while True:
                    data = connection.recv(1 << 18)
                    if not data:
                        break
                    digest.update(data)
                connection.sendall(digest.hexdigest().encode() + b"\n")
        except OSError:
            pass  # the other side has noticed too


def udp_peer(ns, address, port=PORT, timeout=3.0, source=None, source_port=0):
    """The address a new UDP flow from here is seen from at the server; None: no answer."""
    with ns.socket(family_of(address), socket.SOCK_DGRAM) as s:
        if source or source_port:
            s.bind((source or "", source_port))
        s.settimeout(0.25)
        end = time.monotonic() + patience(timeout)
        while True:
            try:
                s.connect((address, port))
                s.send(b"who am I")
                return s.recv(65536).split(b" ")[0].decode()
            except socket.timeout:
                pass
            except OSError:
                time.sleep(0.02)
            if time.monotonic() > end:
                return None


def udp_who(ns, address, port, source_port=0, timeout=3.0):
    """(own port, address, port): from where, and from where as UdpWho sees it; or no answer."""
    with ns.socket(family_of(address), socket.SOCK_DGRAM) as s:
        s.bind(("", source_port))
        s.settimeout(patience(timeout))
        s.connect((address, port))
        s.send(b"who am I")
        try:
            seen = s.recv(65536).decode().split()
        except OSError:
            return None
        return s.getsockname()[1], seen[0], int(seen[1])


def tcp_peer(ns, address, port=PORT, timeout=3.0):
    """The same for a TCP connection."""
    with ns.socket(family_of(address), socket.SOCK_STREAM) as s:
        s.settimeout(patience(timeout))
        try:
            s.connect((address, port))
            return s.makefile().readline().strip() or None
        except OSError:
            return None


def within(seen):
    """A timeout for tcp_peer: to see nothing takes all of it, a peer may be late on a busy machine."""
    return 5.0 if seen else 0.5


def ping(ns, address):
    return ns.run("ping", "-n", "-q", "-c", "1", "-W", "3", address, check=False).returncode == 0


class NewFlows:
    """One new connection after the other, and where from each is seen."""

    def __init__(self, ns, address):
        self.ns, self.address = ns, address
        self.peers, self.n = set(), 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        while not self.ended.is_set():
            self.peers.add(tcp_peer(self.ns, self.address))
            self.n += 1

    def wait(self, more):
        """So many more."""
        enough = self.n + more
        wait_until(lambda: self.n >= enough or not self.thread.is_alive(), "more connections")

    def __enter__(self):
        self.thread.start()
        self.wait(1)
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()


class UdpStream:
    """One UDP flow, a numbered datagram every `interval` seconds; who answered, what is lost."""

    def __init__(self, ns, address, port=PORT, interval=0.002, source=None):
        self.socket = ns.socket(family_of(address), socket.SOCK_DGRAM)
        _make_room(self.socket)
        if source:
            self.socket.bind((source, 0))
        self.socket.connect((address, port))
        self.socket.setblocking(False)
        self.interval = patience(interval)
        self.sent = 0
        self.refused = 0
        self.answers = {}  # number: the address the server saw
        self.last_peer = None
        self.going = True
        self.thread = threading.Thread(target=self._stream, daemon=True)
        self.thread.start()
        ns.world.closing.insert(0, self.stop)

    def _stream(self):
        due = time.monotonic()
        while self.going:
            now = time.monotonic()
            if now >= due:
                try:
                    self.socket.send(struct.pack("!Q", self.sent))
                except OSError:
                    self.refused += 1
                self.sent += 1
                due = max(due + self.interval, now - 0.1)
            self._take(max(0.0, due - time.monotonic()))

    def _take(self, wait):
        if not select.select([self.socket], [], [], wait)[0]:
            return False
        try:
            peer, _, number = self.socket.recv(65536).partition(b" ")
        except OSError:
            return False
        self.last_peer = peer.decode()
        self.answers[struct.unpack("!Q", number)[0]] = self.last_peer
        return True

    def stop(self):
        """Ends the flow when all that was sent is answered, or nothing more comes."""
        if not self.going:
            return self
        self.going = False
        self.thread.join(patience(5))
        while len(self.answers) < self.sent and self._take(2.0):
            pass
        self.socket.close()
        return self

    @property
    def lost(self):
        return [n for n in range(self.sent) if n not in self.answers]

    @property
    def peers(self):
        return set(self.answers.values())


class TcpTransfer:
    """A steady transfer to a TcpEcho, paced so that it leaves the machine to others."""

    def __init__(self, ns, address, port=PORT, block=1 << 14, interval=0.005, source=None):
        self.socket = ns.socket(family_of(address), socket.SOCK_STREAM)
        if source:
            self.socket.bind((source, 0))
        self.socket.settimeout(30)
        self.socket.connect((address, port))
        self.reader = self.socket.makefile()
        self.peer = self.reader.readline().strip()
        self.digest = hashlib.sha256()
        self.total = 0
        self.error = None
        self.block, self.interval = block, patience(interval)
        self.going = threading.Event()
        self.going.set()
        self.thread = threading.Thread(target=self._send, daemon=True)
        self.thread.start()
        ns.world.closing.insert(0, self.abort)

    def _send(self):
        number = 0
        try:
            while self.going.is_set():
                data = struct.pack("!I", number) * (self.block // 4)
                self.socket.sendall(data)
                self.digest.update(data)
                self.total += len(data)
                number = (number + 1) & 0xffffffff
                time.sleep(self.interval)
        except OSError as e:
            self.error = e

    def finish(self):
        """True if the server got exactly what was sent."""
        self.going.clear()
        self.thread.join(40)
        if self.error:
            return False
        try:
            self.socket.shutdown(socket.SHUT_WR)
            answer = self.reader.readline().strip()
        except OSError as e:
            self.error = e
            return False
        return answer == self.digest.hexdigest()

    def abort(self):
        self.going.clear()
        self.socket.close()


class _End:
    """One end of a connection: sends steadily and takes what comes, with a SHA-256 of either."""

    def __init__(self, connection, block, interval):
        self.socket = connection
        self.socket.settimeout(30)
        self.sent, self.got = hashlib.sha256(), hashlib.sha256()
        self.total = 0  # of what it got
        self.error = None
        self.block, self.interval = block, patience(interval)
        self.going = True
        self.threads = [threading.Thread(target=self._run, args=(function,), daemon=True)
                        for function in (self._send, self._take)]
        for thread in self.threads:
            thread.start()

    def _run(self, function):
        try:
            function()
        except OSError as e:
            self.error = self.error or e

    def _send(self):
        number = 0
        while self.going:
            data = struct.pack("!I", number) * (self.block // 4)
            self.socket.sendall(data)
            self.sent.update(data)
            number = (number + 1) & 0xffffffff
            time.sleep(self.interval)
        self.socket.shutdown(socket.SHUT_WR)

    def _take(self):
        while True:
            data = self.socket.recv(1 << 18)
            if not data:
                return
            self.got.update(data)
            self.total += len(data)

    def join(self):
        for thread in self.threads:
            thread.join(40)

    def abort(self):
        self.going = False
        try:
            self.socket.shutdown(socket.SHUT_RDWR)  # wakes both threads
        except OSError:
            pass  # it is closed already
        self.socket.close()


class TcpExchange(_Server):
    """One connection by which both sides send at once, paced as a TcpTransfer.

    `peers` has the address of each connection that the server ever saw.
    """

    def __init__(self, ns, server, address, port=PORT + 8, block=1 << 14, interval=0.005):
        super().__init__(server, socket.SOCK_STREAM, address, port)
        self.pace = block, interval
        self.peers, self.ends = [], []
        self.socket.listen(8)
        self.thread.start()
        client = ns.socket(family_of(address), socket.SOCK_STREAM)
        client.settimeout(30)
        client.connect((address, port))
        self.ends.append(_End(client, *self.pace))

    def _serve(self):
        while self.going:
            if self._ready():
                connection, peer = self.socket.accept()
                self.peers.append(peer[0])
                self.ends.append(_End(connection, *self.pace))

    def totals(self):
        """How much each side has got so far."""
        return [end.total for end in self.ends]

    @property
    def errors(self):
        return [end.error for end in self.ends if end.error]

    def finish(self):
        """True if each side got exactly what the other sent."""
        for end in self.ends:
            end.going = False
        for end in self.ends:
            end.join()
        if self.errors or len(self.ends) != 2:
            return False
        one, other = self.ends
        return (one.sent.digest(), one.got.digest()) == (other.got.digest(), other.sent.digest())

    def stop(self):
        super().stop()
        for end in self.ends:
            end.abort()


def router_advertisement(ns, device, lifetime=1800):
    """Sends one to all nodes on the link, from the device's link-local address."""
    with ns.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as s:
        with ns.inside():
            index = socket.if_nametoindex(device)
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        # type 134, code, checksum (the kernel's), hop limit, flags, lifetime, two timers
        s.sendto(struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, lifetime, 0, 0),
                 ("ff02::1", 0, 0, index))
