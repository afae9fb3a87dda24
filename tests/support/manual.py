# SPDX-License-Identifier: GPL-2.0-or-later
"""The manual pages and the README as data."""

import os
import re

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
# The sections of netshared.yaml(5) that are sections of the file.
SECTIONS = {"SETTINGS": "settings", "ROUTES": "routes", "RULES": "rules",
            "MASQUERADE": "masquerade", "SHARE": "share", "PORT-FORWARDS": "port-forwards",
            "NETWORK-MAP": "network-map"}


def read(name):
    with open(os.path.join(TOP, name), encoding="utf-8") as f:
        return f.read()


def plain(line):
    """A line of the page as it is read."""
    line = line.replace("\\-", "-").replace("\\(dq", '"').replace("\\e", "\\")
    return re.sub(r"^\.B[RIB]? ", "", line).replace('"', "") if line.startswith(".B") else line


def examples(text):
    """(section, line number, text) of each block in which nothing is filled."""
    section, block, found = "", None, []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith(".SH "):
            section = plain(line[4:].strip())
        elif line in (".nf", ".EX"):
            block, begun = [], number + 1
        elif line in (".fi", ".EE"):
            found.append((section, begun, "\n".join(block) + "\n"))
            block = None
        elif block is not None:
            block.append(plain(line))
    return found


def entries(text):
    """{section: the words in bold of the heads of its paragraphs}, as they come."""
    section, found, head = "", {}, False
    for line in text.splitlines():
        if line.startswith(".SH "):
            section = plain(line[4:].strip())
        if head and line.startswith(".B"):
            found.setdefault(section, []).extend(bold(line))
        head = line == ".TP"
    return found


def bold(line):
    """The words in bold of a line with a macro: .B has all, .BR every other argument."""
    macro, _, rest = line.partition(" ")
    arguments = [a or b for a, b in re.findall(r'"([^"]*)"|(\S+)', rest)]
    if macro == ".BR" or macro == ".BI":
        arguments = arguments[::2]
    text = re.sub(r"\\f.[^\\]*\\fR", "", " ".join(arguments))
    return plain(text).split()
