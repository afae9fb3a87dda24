#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""test-tables.py SCHEMA - the manual and the README have the keys, commands and options that the
program's tables have: the keys as the schema tells them, the rest as --help does."""
import json
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

import manual
from tap import case, check, equal, main

NETSHARED = os.environ["NETSHARED"]
SCHEMA = json.loads(open(sys.argv.pop(1), encoding="utf-8").read())
README = manual.read("README.md")
FILE_PAGE = manual.read("man/netshared.yaml.5")
PROGRAM_PAGE = manual.read("man/netshared.8")
POLICIES = ("masquerade", "share", "port-forwards", "network-map")


def keys_of(schema):
    """Those of an object, other names for a key left out."""
    return {name for name, value in schema["properties"].items()
            if not re.search(r"\(as '.*'\)$", value["description"])}


def section(name):
    schema = SCHEMA["properties"][name]
    return keys_of(schema.get("items", schema))


# ---- keys ----

@case("netshared.yaml(5): every section has its keys, and no others")
def _():
    entries = manual.entries(FILE_PAGE)
    equal(set(entries["KEYS"]), keys_of(SCHEMA), "KEYS")
    shared = set(entries["POLICIES"])
    for title, name in manual.SECTIONS.items():
        told = entries[title]
        equal(len(told), len(set(told)), "how many are told twice in " + title)
        equal(set(told) | (shared if name in POLICIES else set()), section(name), title)
        if name in POLICIES:
            equal(set(told) & shared, set(), "what %s repeats of POLICIES" % title)


@case("netshared.yaml(5): the keys of what stands in a key")
def _():
    route = SCHEMA["properties"]["routes"]["items"]["properties"]
    equal(set(manual.entries(FILE_PAGE)["CHECKS"]), keys_of(route["check"]), "CHECKS")
    bold = set().union(*(manual.bold(line) for line in FILE_PAGE.splitlines()
                         if line.startswith(".B")))
    for name in ("nexthops", "when"):
        schema = route[name].get("items", route[name])
        equal(keys_of(schema) - bold, set(), "of %s, what is not in bold anywhere" % name)


def readme_rows():
    """{section: (words in the first column, words in any)} of the table of keys."""
    table = README.split("\n## The file\n")[1].split("\n\n## ")[0]
    name, rows = "", {}
    for first, second in re.findall(r"^\| (.*?) \|(.*)\|$", table, re.M):
        begun = re.match(r"\*\*`([a-z-]+)`\*\*", first)
        if begun:
            name = begun.group(1)
        heads, words = rows.setdefault(name, (set(), set()))
        if not begun:
            heads.update(re.findall(r"`([a-z0-9-]+)[^`]*`", first))
        words.update(re.findall(r"`([a-z0-9-]+)[^`]*`", first + second))
    return rows


@case("README: the table has every key, and no others")
def _():
    rows = readme_rows()
    equal(set(rows) - {""}, keys_of(SCHEMA) - {"version"}, "the sections")
    for name, (heads, words) in rows.items():
        if name:
            equal(section(name) - words, set(), "what is missing in " + name)
            equal(heads - section(name), set(), "what %s does not have" % name)


# ---- commands and options ----

def help_of(*command):
    return subprocess.run([NETSHARED, *command, "--help"], capture_output=True, text=True,
                          check=True).stdout


def commands():
    """{name: "name operands"} as --help has them."""
    text = help_of().split("\nCommands:\n")[1].split("\n\n")[0]
    found = {}
    for line in text.splitlines():
        usage = re.match(r"  (\S.*?)(  |$)", line)
        if usage:
            found[usage.group(1).split()[0]] = usage.group(1)
    return found


def options(*command):
    return set(re.findall(r"^  .{3} (--[a-z-]+)", help_of(*command), re.M))


@case("netshared(8): the commands, with their operands")
def _():
    lines = PROGRAM_PAGE.split("\n.SH COMMANDS\n")[1].split("\n.SH ")[0].splitlines()
    heads = [" ".join(manual.plain(re.sub(r"\\f.", "", lines[i + 1])).split())
             for i, line in enumerate(lines) if line == ".TP"]
    equal(set(heads), set(commands().values()), "the heads")
    synopsis = PROGRAM_PAGE.split("\n.SH SYNOPSIS\n")[1].split("\n.SH ")[0]
    for name in commands():
        check(re.search(r"\b%s\b" % name, synopsis), "%s is not in the synopsis" % name)


@case("netshared(8): the options, with the commands that take them")
def _():
    entries = manual.entries(PROGRAM_PAGE)["OPTIONS"]
    common = options()
    own = {name: options(name) - common for name in commands()}
    equal({e for e in entries if e.startswith("--")}, common.union(*own.values()), "the options")
    text = PROGRAM_PAGE.split("\n.SH OPTIONS\n")[1].split("\n.SH ")[0]
    for option in set().union(*own.values()):
        about = re.search(r"^\.B.* *\\-\\-%s\b.*\n((?:(?!\.TP|\.PP).*\n)*)" %
                          re.escape(option[2:].replace("-", "\\-")), text, re.M).group(1)
        told = {word for line in about.splitlines() if line.startswith(".B")
                for word in manual.bold(line)}
        equal(told & set(own), {name for name in own if option in own[name]},
              "the commands that take " + option)


@case("netshared(8): what doctor looks for")
def _():
    result = subprocess.run([NETSHARED, "doctor", "--json", "--config", "/nowhere/there.yaml"],
                            capture_output=True, text=True, check=False)
    lines = PROGRAM_PAGE.split("\n.SH THE DOCTOR'S LIST\n")[1].split("\n.SH ")[0].splitlines()
    heads = [manual.plain(lines[i + 1]).split()[-1] for i, line in enumerate(lines) if line == ".TP"]
    equal(heads, [c["name"] for c in json.loads(result.stdout)["checks"]], "the heads")


@case("README: the table has every command, and every option that it has is one")
def _():
    table = README.split("\n## Commands\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `netshared ([a-z]+)([^`]*)` \|", table, re.M)
    equal({name for name, _ in rows}, set(commands()), "the commands")
    for name, rest in rows:
        equal(set(re.findall(r"--[a-z-]+", rest)) - options(name), set(),
              "what %s does not take" % name)


main(root=False)
