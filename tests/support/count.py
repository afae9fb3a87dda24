#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""count.py TESTLOG.json... - test cases in meson's logs: shows what failed or was skipped, and
prints "N passed, N failed, N skipped". Exit code 1 when anything failed, or when a log is empty.

A program that speaks TAP is one case for each of its lines; any other is one case. Nothing that
went wrong may get lost: a missing plan, too few cases, a bail-out, a crash after the last case and
a time-out each count as a failure.
"""
import json
import re
import sys

CASE = re.compile(r"^(not )?ok\b\s*\d*\s*(?:- )?(.*?)\s*(?:#\s*(skip|todo)\b\S*\s*(.*))?$", re.I)
PLAN = re.compile(r"^1\.\.(\d+)\s*(?:#\s*skip\S*\s*(.*))?$", re.I)
BAIL = re.compile(r"^Bail out!\s*(.*)$")
SHOWN = 300  # lines of a failing program's output


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def fail(self, name, what):
        self.failed += 1
        print(f"FAILED   {name}: {what}")

    def skip(self, name, what):
        self.skipped += 1
        print(f"skipped  {name}: {what}")


def count_tap(name, lines, tally):
    plans, seen = [], 0
    for line in lines:
        if match := PLAN.match(line):
            plans.append(int(match[1]))
            if plans[-1] == 0:
                tally.skip(name, match[2] or "no reason given")
        elif match := BAIL.match(line):
            tally.fail(name, f"gave up: {match[1]}")
        elif match := CASE.match(line):
            seen += 1
            bad, case, directive, reason = match.groups()
            if bad:
                tally.fail(name, case)
            elif directive and directive.lower() == "skip":
                tally.skip(name, f"{case}: {reason}")
            else:
                tally.passed += 1
    if len(plans) != 1:
        tally.fail(name, f"{len(plans)} plans instead of one")
    elif seen < plans[0]:
        for _ in range(plans[0] - seen):
            tally.fail(name, f"only {seen} of {plans[0]} cases ran")
    elif seen > plans[0]:
        tally.fail(name, f"{seen} cases, {plans[0]} planned")


def count(entry, tally):
    name, result = entry["name"], entry["result"]
    out = entry.get("stdout") or ""
    lines = out.splitlines()
    before = tally.failed
    if any(PLAN.match(line) or CASE.match(line) for line in lines):
        count_tap(name, lines, tally)
        if result not in ("OK", "SKIP") and tally.failed == before:
            tally.fail(name, f"{result}, exit code {entry.get('returncode')}")
    elif result == "OK":
        tally.passed += 1
    elif result == "SKIP":
        tally.skip(name, "the program said so")
    else:
        tally.fail(name, f"{result}, exit code {entry.get('returncode')}")
    if tally.failed > before:
        said = [line for line in lines if not re.match(r"ok\b", line)]
        said += (entry.get("stderr") or "").splitlines()
        for line in said[:SHOWN]:
            print(f"    {line}")


def main(paths):
    tally = Tally()
    for path in paths:
        entries = 0
        try:
            with open(path, encoding="utf-8", errors="replace") as log:
                for line in log:
                    count(json.loads(line), tally)
                    entries += 1
        except (OSError, ValueError) as error:
            tally.fail(path, f"cannot be read: {error}")
        if entries == 0:
            tally.fail(path, "holds no test")
    print(f"{tally.passed} passed, {tally.failed} failed, {tally.skipped} skipped")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
