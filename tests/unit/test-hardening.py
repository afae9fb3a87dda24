#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The program is built with what its compiler and linker have against exploits; checksec says so."""

import json
import os
import platform
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

from tap import Skip, case, check, equal, main

PROGRAM = os.environ["NETSHARED"]


def checksec():
    try:
        out = subprocess.run(["checksec", "--file=" + PROGRAM, "--output=json"],
                             check=True, capture_output=True, text=True).stdout
    except FileNotFoundError:
        raise Skip("no checksec here") from None
    return json.loads(out)[PROGRAM]


def checked():
    """The functions that are called through pointers of their own type alone (clang's CFI)."""
    out = subprocess.run(["readelf", "--symbols", "--wide", PROGRAM],
                         check=True, capture_output=True, text=True).stdout
    return set(re.findall(r" (nsh_\w+)\.cfi(?:_jt)?$", out, re.M))


def functions():
    """{name: its first instruction} of our own functions."""
    out = subprocess.run(["objdump", "-d", "--no-show-raw-insn", PROGRAM],
                         check=True, capture_output=True, text=True).stdout
    return dict(re.findall(r"^[0-9a-f]+ <(nsh_\w+)>:\n +[0-9a-f]+:\t(\S+)", out, re.M))


@case("full RELRO, stack canaries, no executable stack, PIE, no search path for libraries")
def _():
    found = checksec()
    for what, wanted in {"relro": "full", "canary": "yes", "nx": "yes", "pie": "yes",
                         "rpath": "no", "runpath": "no"}.items():
        equal(found[what], wanted, what)


@case("string and memory functions are checked where sizes are known")
def _():
    found = checksec()
    equal(found["fortify_source"], "yes", "fortify_source")
    check(int(found["fortified"]) > 0, found)


@case("indirect calls land on marked instructions alone, or on functions of the pointer's type")
def _():
    if checked():
        return
    if platform.machine() != "x86_64":
        raise Skip("the mark is looked for on x86_64 alone")
    called = functions()
    marked = [name for name, first in called.items() if first == "endbr64"]
    # A static function that is never called through a pointer needs no mark.
    check(len(marked) > len(called) / 2, "%d of %d" % (len(marked), len(called)))


main(root=False)
