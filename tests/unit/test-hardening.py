#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The program is built with what its compiler and linker have against exploits.

checksec says so of some; of others the commands it was built by, and its instructions.
"""

import functools
import json
import os
import platform
import re
import shlex
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

from tap import Skip, case, check, equal, main

PROGRAM = os.environ["NETSHARED"]
BUILD = os.path.dirname(os.path.dirname(PROGRAM))
PAGE = 0x1000


def output_of(*command, **how):
    return subprocess.run(command, check=True, capture_output=True, text=True, **how).stdout


@functools.cache

def checksec():
    try:
        out = output_of("checksec", "--file=" + PROGRAM, "--output=json")
    except FileNotFoundError:
        raise Skip("no checksec here") from None
    return json.loads(out)[PROGRAM]


def checked():
    """The functions that are called through pointers of their own type alone (clang's CFI)."""
    out = output_of("readelf", "--symbols", "--wide", PROGRAM)
    return set(re.findall(r" (nsh_\w+)\.cfi(?:_jt)?$", out, re.M))


@functools.cache
def instructions():
    return output_of("objdump", "-d", "--no-show-raw-insn", PROGRAM)


def commands():
    """Those by which the program's own files were compiled, as lists of words."""
    with open(os.path.join(BUILD, "compile_commands.json"), encoding="utf-8") as f:
        found = [shlex.split(c["command"]) for c in json.load(f)
                 if c["file"].startswith(("../lib/", "../daemon/"))]
    check(len(found) > 100, len(found))
    return found


def fortify_level(command):
    """That which the C library takes from such a command; 0: none."""
    words = command[:command.index("-MD")] + ["-dM", "-E", "-x", "c", "-include", "stdio.h",
                                              "/dev/null"]
    found = re.search(r"^#define __USE_FORTIFY_LEVEL (\d)$", output_of(*words, cwd=BUILD), re.M)
    return int(found[1]) if found else 0


def functions():
    """{name: its first instruction} of our own functions."""
    return dict(re.findall(r"^[0-9a-f]+ <(nsh_\w+)>:\n +[0-9a-f]+:\t(\S+)", instructions(), re.M))


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


@case("and those whose sizes are known only when it runs (_FORTIFY_SOURCE=3), in every file")
def _():
    built = commands()
    for command in built:
        equal([w for w in command if w.startswith("-D_FORTIFY_SOURCE")][-1:],
              ["-D_FORTIFY_SOURCE=3"], command[-1])
    equal(fortify_level(built[0]), 3, "the level in force")


@case("no frame on the stack is made without touching each page of it")
def _():
    for command in commands():
        check("-fstack-clash-protection" in command, command[-1])
    if platform.machine() != "x86_64":
        raise Skip("the instructions are looked for on x86_64 alone")
    # One page further down, and the page is written to: gcc by orq, clang by movq.
    steps = re.findall(r"\tsub +\$0x([0-9a-f]+),%rsp\n.*\t(.*)", instructions())
    large = [(size, then) for size, then in steps if PAGE <= int(size, 16) < 1 << 63]
    check(large, "no large frame at all")
    for size, then in large:
        equal(int(size, 16), PAGE, then)
        check(re.match(r"(or|mov)q +\$0x0,\(%rsp\)", then), then)


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
