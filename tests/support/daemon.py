# SPDX-License-Identifier: GPL-2.0-or-later
"""netshared itself in a namespace: started, listened to, asked, ended."""

import contextlib
import ctypes
import errno
import json
import os
import re
import select
import signal
import socket
import subprocess
import threading
import time

import firewall
import netns
import tap
from netns import wait_until


PIDFD_GETFD = 438  # the same number on every architecture
SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS = 270, 9
_libc = ctypes.CDLL(None, use_errno=True)


def _drain(taken):
    size = 0
    while True:
        try:
            size += len(taken.recv(1 << 20, socket.MSG_DONTWAIT))
        except BlockingIOError:
            return size


class Daemon:
    """One configuration with its directories; runs netshared, more than once if need be."""

    def __init__(self, ns, config=None, name=None, path=None):
        self.ns = ns
        self.world = ns.world
        self.binary = netns.netshared_binary()
        self.base = os.path.join(self.world.directory, name or ns.short)
        os.makedirs(self.base, mode=0o700, exist_ok=True)
        self.config = path or os.path.join(self.base, "netshared.yaml")
        self.runtime = os.path.join(self.base, "run")
        self.state = os.path.join(self.base, "state")
        self.process = None
        self.notified = []  # (monotonic, text) of every sd_notify message
        self._log = []
        self._begun = b""  # of a line whose end is to come
        self._changed = threading.Condition()
        self._notify = None
        if config is not None:
            self.write(config)
        if firewall.setting():  # in a drop-in: places in the main file stay as they are
            self.write(firewall.setting(), os.path.splitext(self.config)[0] + ".d/firewall.yaml")
        self.world.daemons.append(self)

    # -- files

    def write(self, text, name=None):
        """The main file, or one beside it, replaced as an editor would do it."""
        path = os.path.join(self.base, name) if name else self.config
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        with open(path + ".new", "w") as f:
            f.write(text)
        os.replace(path + ".new", path)
        return path

    # -- the process

    def options(self, runtime=None):
        return ["--config", self.config, "--runtime-directory", runtime or self.runtime,
                "--state-directory", self.state]

    def _listen(self):
        path = os.path.join(self.base, "notify")
        if self._notify is None:
            self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._notify.bind(path)
            self._notify.settimeout(0.2)
            threading.Thread(target=self._hear, daemon=True).start()
            self.world.closing.append(self._notify.close)
        return path

    def _hear(self):
        while True:
            try:
                text = self._notify.recv(65536).decode(errors="replace")
            except socket.timeout:
                if self._notify.fileno() < 0:
                    return
                continue
            except OSError:
                return
            with self._changed:
                self.notified.append((time.monotonic(), text))
                self._changed.notify_all()

    def _read(self, stream):
        while not stream.closed:
            select.select([stream], [], [])
            with self._changed:
                if not self._take(stream):
                    stream.close()

    def _take(self, stream):
        """What stands in the pipe, into the log, with its lock held; False at the end of it."""
        while True:
            try:
                data = os.read(stream.fileno(), 65536)
            except BlockingIOError:
                return True
            *lines, self._begun = (self._begun + data).split(b"\n")
            if not data and self._begun:
                lines, self._begun = [self._begun], b""
            self._log.extend(line.decode(errors="replace") for line in lines)
            self._changed.notify_all()
            if not data:
                return False

    def _catch_up(self):
        """All it has said until now: the thread that reads may be some lines behind."""
        if self.process is not None and not self.process.stdout.closed:
            self._take(self.process.stdout)

    def start(self, wait=True, extra=(), env=None, timeout=20, wrap=()):
        """Runs it, `wrap` before its words; with `wait`, until it says READY."""
        seen = len(self.notified)
        environment = dict(self.world.env, NOTIFY_SOCKET=self._listen(), **(env or {}))
        self.process = self.ns.popen([*wrap, self.binary, "run", *self.options(), *extra],
                                     env=environment, stdin=subprocess.DEVNULL,
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        os.set_blocking(self.process.stdout.fileno(), False)
        self._reader = threading.Thread(target=self._read, args=(self.process.stdout,),
                                        daemon=True)
        self._reader.start()
        if wait:
            self.wait_notified("READY=1", since=seen, timeout=timeout)
        return self

    @property
    def pid(self):
        return self.process.pid

    def wait_exit(self, timeout=20):
        code = self.process.wait(tap.patience(timeout))
        self._reader.join(5)
        return code

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self, timeout=20):
        """SIGTERM; its exit code, which must be 0."""
        self.signal(signal.SIGTERM)
        code = self.wait_exit(timeout)
        tap.equal(code, 0, "exit code after SIGTERM")
        return code

    def kill9(self):
        self.signal(signal.SIGKILL)
        self.wait_exit()

    def running(self):
        return self.process is not None and self.process.poll() is None

    @contextlib.contextmanager
    def netlink_sockets(self):
        """Its own, to do something to."""
        process = os.pidfd_open(self.pid)
        with contextlib.ExitStack() as stack:
            stack.callback(os.close, process)
            found = []
            for name in os.listdir("/proc/%d/fd" % self.pid):
                fd = _libc.syscall(PIDFD_GETFD, process, int(name), 0)
                if fd < 0 and ctypes.get_errno() == errno.EBADF:
                    continue  # closed meanwhile
                if fd < 0:
                    raise tap.Skip("no pidfd_getfd: " + os.strerror(ctypes.get_errno()))
                try:
                    taken = socket.socket(fileno=fd)
                except OSError:  # something else
                    os.close(fd)
                    continue
                stack.enter_context(taken)
                if taken.family == socket.AF_NETLINK:
                    found.append(taken)
            yield found

    def steal_events(self):
        """Takes what its netlink sockets hold, as if it had never come; how much that was.

        While it is stopped.
        """
        with self.netlink_sockets() as sockets:
            return sum(map(_drain, sockets))

    def shrink_event_buffers(self):
        """The kernel's least for those that are in a group; how many that were."""
        n = 0
        with self.netlink_sockets() as sockets:
            for taken in sockets:
                if any(taken.getsockopt(SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS, 64)):
                    taken.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
                    n += 1
        return n

    # -- what it says

    def log_lines(self, since=0):
        with self._changed:
            self._catch_up()
            return self._log[since:]

    def log_text(self, since=0):
        return "\n".join(self.log_lines(since))

    def mark(self):
        with self._changed:
            self._catch_up()
            return len(self._log)

    def _wait(self, look, what, timeout):
        end = time.monotonic() + tap.patience(timeout)
        with self._changed:
            while True:
                value = look()
                if value:
                    return value
                left = end - time.monotonic()
                dead = self.process.poll() is not None
                if left <= 0 or (dead and not self._reader.is_alive()):
                    why = "it ended with %s" % self.process.poll() if dead else "in time"
                    raise netns.NotYet("no %s: %s" % (what, why))
                self._changed.wait(min(left, 0.1))

    def wait_log(self, pattern, since=0, timeout=10):
        """The first line that matches, from the mark on."""
        regex = re.compile(pattern)
        return self._wait(lambda: next((line for line in self._log[since:] if regex.search(line)),
                                       None), "log line /%s/" % pattern, timeout)

    def count_log(self, pattern, since=0):
        return sum(1 for line in self.log_lines(since) if re.search(pattern, line))

    def wait_notified(self, part, since=0, timeout=20):
        return self._wait(lambda: next((text for _, text in self.notified[since:]
                                        if part in text.splitlines()
                                        or (part.endswith("=") and part in text)), None),
                          "notification " + part, timeout)

    def status_text(self):
        """The last STATUS= told to systemd."""
        for _, text in reversed(self.notified):
            for line in text.splitlines():
                if line.startswith("STATUS="):
                    return line[len("STATUS="):]
        return ""

    def check_sanitizers(self):
        text = self.log_text()
        for word in ("AddressSanitizer", "LeakSanitizer", "runtime error:"):
            tap.check(word not in text, "a sanitizer complained:\n" + text)

    # -- the commands

    def cli(self, *argv, runtime=None, timeout=60, check=False):
        result = self.ns.run(self.binary, *argv, *self.options(runtime), check=False,
                             timeout=timeout)
        if check:
            tap.equal(result.returncode, 0, "exit code of %s, which said\n%s%s" % (
                " ".join(argv), result.stdout, result.stderr))
        return result

    def reload(self, text=None, check=True):
        if text is not None:
            self.write(text)
        return self.cli("reload", check=check)

    def plan(self):
        return self.cli("plan")

    def status(self):
        return json.loads(self.cli("status", "--json", check=True).stdout)

    def objects(self, kind=None):
        return [o for o in self.status()["objects"] if kind is None or o["kind"] == kind]

    def object(self, start, kind=None):
        """The one object whose name begins so."""
        found = [o for o in self.objects(kind) if o["name"].startswith(start)]
        tap.equal(len(found), 1, "objects named %s in\n%s" % (start, self.objects()))
        return found[0]

    def wait_state(self, start, state, kind=None, timeout=10):
        def look():
            found = [o for o in self.objects(kind) if o["name"].startswith(start)]
            return found[0] if found and found[0]["state"] == state else None

        return wait_until(look, "%s %s in status" % (start, state), timeout, 0.05)

    def socket_path(self):
        return os.path.join(self.runtime, "netns-%d.sock" % self.ns.inode)

    # -- what it costs

    def cpu_seconds(self):
        with open("/proc/%d/stat" % self.pid) as f:
            fields = f.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def proc_status(self, key):
        with open("/proc/%d/status" % self.pid) as f:
            for line in f:
                if line.startswith(key + ":"):
                    return int(line.split()[1])
        raise KeyError(key)
