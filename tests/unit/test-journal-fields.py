#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""netshared.journal-fields(7), the catalog and the tables of the code say the same."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

from manual import examples, plain, read
from tap import case, check, equal, main

PAGE = read("man/netshared.journal-fields.7")
PRIORITIES = {"ERR": "3 (err)", "WARNING": "4 (warning)", "NOTICE": "5 (notice)",
              "INFO": "6 (info)"}


def known_ids():
    """{id: its macro} in the header."""
    return {value: name for name, value in re.findall(
        r'^#define (NSH_ID_\w+) "(\w+)"$', read("daemon/journal-ids.h"), re.M)}


def known_kinds():
    """{id: (kind, action, priority)} in the table by which reports are written."""
    names = {name: value for value, name in known_ids().items()}
    return {names[macro]: (kind, action, PRIORITIES[priority]) for kind, action, macro, priority
            in re.findall(r'^ +\[NSH_REPORT_(\w+)\] = \{\s*"([\w-]+)",\s*(\w+),\s*LOG_(\w+),',
                          read("daemon/report.c"), re.M)}


def known_fields():
    return re.findall(r'^ +\{"([A-Z_]+)", \w+, (?:0|MEMBER\(\w+\))\},$', read("daemon/journal.c"),
                      re.M)


def section(name):
    return PAGE.split("\n.SH %s\n" % name)[1].split("\n.SH ")[0]


def entries():
    """{id: (action, priority, text)} of the page."""
    return {found[2]: (plain(found[0]), found[1], found[3]) for found in re.findall(
        r'^\.BR (\S+) ", PRIORITY=([^"]+)"\nMESSAGE_ID=(\w+)\n\.br\n(.*?)(?=\n\.TP|\Z)',
        section("ENTRIES"), re.M | re.S)}


def catalog():
    """{id: (head, text)} of the catalog."""
    parts = re.split(r"^-- (\w+)\n", read("systemd/netshared.catalog"), flags=re.M)[1:]
    return {parts[i]: tuple(parts[i + 1].split("\n\n", 1)) for i in range(0, len(parts), 2)}


def macros(prefix, path):
    return re.findall(r"^    %s(\w+)," % prefix, read(path), re.M)


@case("each kind has an id of its own, and each id is of 128 bits")
def _():
    kinds = sorted(kind for kind, _, _ in known_kinds().values())
    equal(kinds, sorted(macros("NSH_REPORT_", "daemon/report.h")[:len(kinds)]), "kinds")
    equal(set(known_kinds()), set(known_ids()), "ids that are used")
    for value in known_ids():
        check(re.fullmatch(r"[0-9a-f]{32}", value), value)


@case("the page has each kind with its id, its action and its priority, and no other")
def _():
    equal(set(entries()), set(known_kinds()), "ids")
    for value, (_, action, priority) in known_kinds().items():
        equal(entries()[value][:2], (action, priority), value)
        check(len(entries()[value][2]) > 60, "what it means: %s" % action)


@case("the page has each field that is written, and no other")
def _():
    shown = re.findall(r"^\.TP\n\.B (\w+)$", section("FIELDS"), re.M)
    check(len(known_fields()) > 12, "the table was read: %s" % known_fields())
    equal(sorted(shown), sorted(known_fields()), "fields")
    for field in shown:
        text = section("FIELDS").split(".B %s\n" % field)[1]
        check(re.match(r"(Text|Words?|Numbers?|128 bits)\b", text), "the type of " + field)
    for name in re.findall(r"\b(?:NETSHARED_[A-Z_]+|MESSAGE_ID|PRIORITY)\b", PAGE):
        check(name in known_fields(), name)


@case("the page's examples are of what there is")
def _():
    for _, _, text in examples(PAGE):
        for field in re.findall(r"([A-Z_]{6,})=", text):
            check(field in known_fields(), field)
        for value in re.findall(r"MESSAGE_ID=(\w+)", text):
            check(value in known_ids(), value)
        for action in re.findall(r"NETSHARED_ACTION=(\S+)", text):
            check(action in (a for _, a, _ in known_kinds().values()), action)


@case("the catalog has a text for each id, with what it means and fields that there are")
def _():
    equal(set(catalog()), set(known_ids()), "ids")
    for value, (head, text) in catalog().items():
        check(re.search(r"^Subject: \S", head, re.M), "the subject of " + value)
        check(re.search(r"^Documentation: man:netshared", head, re.M), "the page of " + value)
        words = re.sub(r"@\w+@", "", text).split()
        check(len(words) >= 8, "what %s means: %s" % (value, text))
        for field in re.findall(r"@(\w+)@", head + text):
            check(field in known_fields(), field)


@case("the other pages name ids that there are")
def _():
    for name in ("man/netshared.8", "man/netshared.yaml.5", "README.md"):
        for value in re.findall(r"\b[0-9a-f]{32}\b", read(name)):
            check(value in known_ids(), "%s: %s" % (name, value))
        for field in re.findall(r"\bNETSHARED_[A-Z_]+\b", plain(read(name))):
            check(field in known_fields() or field.startswith("NETSHARED_TEST"),
                  "%s: %s" % (name, field))
    check("netshared.journal\\-fields (7)" in read("man/netshared.8"), "its place in netshared(8)")


main()
