#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The counter of tests must not lose a failure."""
import json
import os
import subprocess
import sys
import tempfile

COUNT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support", "count.py")

# what is tested, the entries of a log, the last line, the exit code
CASES = [
    ("all passed", [{"result": "OK", "stdout": "1..2\nok 1 - a\nok 2 - b\n"}], (2, 0, 0)),
    ("one failed", [{"result": "FAIL", "stdout": "1..2\nok 1 - a\nnot ok 2 - b\n"}], (1, 1, 0)),
    ("a skip", [{"result": "OK", "stdout": "1..2\nok 1 - a\nok 2 - b # SKIP why\n"}], (1, 0, 1)),
    ("all skipped", [{"result": "SKIP", "stdout": "1..0 # SKIP why\n"}], (0, 0, 1)),
    ("a failure that calls itself a skip",
     [{"result": "FAIL", "stdout": "1..1\nnot ok 1 - a # SKIP\n"}], (0, 1, 0)),
    ("too few cases", [{"result": "ERROR", "stdout": "1..3\nok 1 - a\n"}], (1, 2, 0)),
    ("too many cases", [{"result": "ERROR", "stdout": "1..1\nok 1 - a\nok 2 - b\n"}], (2, 1, 0)),
    ("no plan", [{"result": "ERROR", "stdout": "ok 1 - a\n"}], (1, 1, 0)),
    ("a bail-out", [{"result": "FAIL", "stdout": "1..1\nok 1 - a\nBail out! no\n"}], (1, 1, 0)),
    ("a crash after the last case",
     [{"result": "ERROR", "returncode": -11, "stdout": "1..1\nok 1 - a\n"}], (1, 1, 0)),
    ("a time-out", [{"result": "TIMEOUT", "stdout": "1..1\nok 1 - a\n"}], (1, 1, 0)),
    ("a program without TAP", [{"result": "OK"}, {"result": "FAIL"}, {"result": "SKIP"}],
     (1, 1, 1)),
    ("a crash before the first word", [{"result": "ERROR", "returncode": 1, "stdout": ""}],
     (0, 1, 0)),
    ("no test at all", [], (0, 1, 0)),
]


def run(entries):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as log:
        for entry in entries:
            print(json.dumps({"name": "t", **entry}), file=log)
        log.flush()
        done = subprocess.run([sys.executable, COUNT, log.name], stdout=subprocess.PIPE, text=True,
                              check=False)
    return done.stdout.splitlines()[-1], done.returncode


def main():
    print(f"1..{len(CASES)}")
    bad = 0
    for i, (name, entries, (passed, failed, skipped)) in enumerate(CASES, 1):
        want = (f"{passed} passed, {failed} failed, {skipped} skipped", 1 if failed else 0)
        got = run(entries)
        bad += got != want
        print("ok" if got == want else "not ok", i, "-", name)
        if got != want:
            print(f"# wanted {want}, got {got}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
