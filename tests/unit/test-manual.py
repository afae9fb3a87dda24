#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The manual's examples are right, and every key that a section knows has one."""
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

from manual import examples, read

NETSHARED = os.environ["NETSHARED"]
# What the examples of a section are in, and where its keys stand there.
SECTIONS = {"ROUTES": ("routes", "%s"), "RULES": ("rules", "%s"), "MASQUERADE": ("masquerade", "%s"),
            "SHARE": ("share", "%s"), "PORT-FORWARDS": ("port-forwards", "%s"),
            "NETWORK-MAP": ("network-map", "%s"), "CHECKS": ("routes", "check: {%s}")}
# What an example stands for that names a file or a table of its own.
LIST = "# prefixes\n192.0.2.0/24\n2001:db8::/32\n"
TABLE = ("table: uplink2", "table: 200")


def known_keys(section, place, folder):
    """The keys of a section's objects, as the program itself lists them."""
    path = os.path.join(folder, "netshared.yaml")
    with open(path, "w") as f:
        f.write("version: 1\n%s:\n  - {%s}\n" % (section, place % "qqqqqqqqq: 1"))
    said = subprocess.run([NETSHARED, "check", path], capture_output=True, text=True,
                          check=False).stderr
    return re.search(r"the keys are (.*)", said).group(1).split(", ")


def check(section, text, folder):
    """What `netshared check` has to say about an example; "": nothing."""
    if section in SECTIONS:
        text = "version: 1\n%s:\n%s" % (SECTIONS[section][0], text)
    elif "version:" not in text:
        text = "version: 1\n" + text
    path = os.path.join(folder, "netshared.yaml")
    with open(path, "w") as f:
        f.write(text.replace(*TABLE))
    result = subprocess.run([NETSHARED, "check", path], capture_output=True, text=True,
                            check=False)
    return "" if result.returncode == 0 else result.stdout + result.stderr


def main():
    found = examples(read("man/netshared.yaml.5"))
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for name in re.findall(r"file: ([^},]+)", "".join(text for _, _, text in found)):
            path = os.path.join(folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as f:
                f.write(LIST)
        for section, line, text in found:
            results.append(("%s: the example at line %d" % (section, line),
                            check(section, text, folder)))
        for section, (noun, place) in SECTIONS.items():
            shown = "".join(text for s, _, text in found if s == section)
            missing = [key for key in known_keys(noun, place, folder)
                       if not re.search(r"(^|[ {,])%s:" % key, shown, re.M)]
            results.append(("%s: an example of every key" % section,
                            "none of " + ", ".join(missing) if missing else ""))
    print("1..%d" % len(results))
    for number, (name, problem) in enumerate(results, 1):
        print("%sok %d - %s" % ("not " if problem else "", number, name))
        for line in problem.splitlines():
            print("# " + line)
    return any(problem for _, problem in results)


sys.exit(main())
