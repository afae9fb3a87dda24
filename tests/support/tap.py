# SPDX-License-Identifier: GPL-2.0-or-later
"""A small TAP producer: cases register themselves, main() runs them one after the other.

    @case("what must hold")
    def _():
        ...

A case fails by any exception, Skip excepted. `FILE.py WORD...` runs only the cases whose name
contains one of the words, `FILE.py --list` names them. NETSHARED_TEST_SLOW=8 says that the
machine is so much slower than most: whoever waits, waits longer (see patience).
"""

import os
import signal
import sys
import time
import traceback

import firewall

SLOW = float(os.environ.get("NETSHARED_TEST_SLOW", "1"))

_cases = []
_left_out = []


class Skip(Exception):
    """The machine can't run this case; counted as skipped, never as passed."""


class Failure(AssertionError):
    pass


class CaseTimeout(BaseException):
    """Not an Exception: no handler in between may swallow it."""


def patience(seconds):
    """How long to wait here for what takes no longer than so many seconds elsewhere."""
    return seconds * SLOW


def case(name, timeout=60, only=None):
    """`only`: the one firewall it has a meaning on, and why."""
    def register(function):
        if only and only[0] != firewall.NAME:
            _left_out.append("%s: %s" % (name, only[1]))
        else:
            _cases.append((name, function, timeout))
        return function

    return register


def diag(text):
    for line in str(text).splitlines():
        print("# " + line)


def check(condition, what):
    if not condition:
        raise Failure(what)


def equal(got, want, what):
    if got != want:
        raise Failure("%s:\n  got:    %r\n  wanted: %r" % (what, got, want))


def contains(text, part, what):
    if part not in text:
        raise Failure("%s: no %r in\n%s" % (what, part, text))


def _on_alarm(signum, frame):
    raise CaseTimeout("the case took too long")


def _on_end(signum, frame):
    sys.exit(128 + signum)  # unwinds: `with` blocks and atexit clean up


def _run(number, name, function, timeout):
    signal.alarm(int(patience(timeout)))
    begun = time.monotonic()
    try:
        function()
    except Skip as e:
        print("ok %d - %s # SKIP %s" % (number, name, e))
        return True
    except (Exception, CaseTimeout) as e:
        signal.alarm(0)
        print("not ok %d - %s" % (number, name))
        diag("%s: %s" % (type(e).__name__, e))
        if not isinstance(e, Failure):
            diag("".join(traceback.format_tb(e.__traceback__)))
        else:
            last = traceback.extract_tb(e.__traceback__)
            diag("at " + ", ".join("%s:%d" % (os.path.basename(f.filename), f.lineno)
                                   for f in last[1:-1]))
        return False
    finally:
        signal.alarm(0)
    print("ok %d - %s" % (number, name))
    diag("%.1f s" % (time.monotonic() - begun))
    return True


def main(root=True):
    words = [a for a in sys.argv[1:] if not a.startswith("--")]
    chosen = [c for c in _cases if not words or any(w in c[0] for w in words)]
    if "--list" in sys.argv:
        print("\n".join(c[0] for c in chosen))
        return
    sys.stdout.reconfigure(line_buffering=True)
    if root and os.geteuid() != 0:
        print("1..0 # SKIP needs root, for network namespaces")
        return
    signal.signal(signal.SIGALRM, _on_alarm)
    for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(s, _on_end)
    print("1..%d" % len(chosen))
    for name in _left_out:
        diag("left out on %s: %s" % (firewall.NAME, name))
    good = True
    for number, (name, function, timeout) in enumerate(chosen, 1):
        good = _run(number, name, function, timeout) and good
    sys.exit(0 if good else 1)
