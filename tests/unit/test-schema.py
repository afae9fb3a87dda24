#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""test-schema.py SCHEMA - the schema takes what `netshared check` takes, and finds wrong keys."""
import glob
import json
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

import manual
from tap import Skip, case, check, equal, main

try:
    import jsonschema
    import plain_yaml
    import yaml
except ImportError as e:
    print("1..0 # SKIP %s (apt install python3-yaml python3-jsonschema)" % e)
    sys.exit(0)

NETSHARED = os.environ["NETSHARED"]
DATA = os.path.join(os.environ["NSH_TEST_DATA"], "config")
SCHEMA = json.loads(open(sys.argv.pop(1), encoding="utf-8").read())
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)

# The messages about a single key, whose every case a schema can tell.
OF_A_KEY = re.compile("|".join((
    r"^unknown key ", r"^the (%s) has no '\w+'$" % "|".join((
        "route", "rule", "policy", "share", "port-forward", "network-map", "learned gateway",
        "prefix file")),
    r" has no value$", r" is an empty list$", r" has no valid prefix length$",
    r"^'[^']*' can't be '", r"^'[^']*' can't be a name", r"^no device can have the name ",
    r" is not an address( or prefix)?$", r" is not the name of a protocol$",
    r" wants (true or false|a number|a time|a list|a condition|keys|an? \w+, not a (list|mapping))",
    r" is out of range: -?[0-9]+$", r" is a mapping of keys$", r"not a configuration")))
# But the ends of ranges are no numbers to it.
RANGE = re.compile(r"[0-9]-[0-9]")


def properties(schema, path=()):
    """(where, schema of the value) of each key, at any depth."""
    if not isinstance(schema, dict):
        return
    for name, value in schema.get("properties", {}).items():
        yield path + (name,), value
    for name, value in list(schema.get("properties", {}).items()):
        yield from properties(value, path + (name,))
    for part in schema.get("anyOf", []) + [schema.get("items")]:
        yield from properties(part, path)


def problems(text):
    return ["%s: %s" % ("/".join(map(str, e.absolute_path)), e.message)
            for e in VALIDATOR.iter_errors(plain_yaml.load(text)[0])]


def lines_of(node, error):
    """The lines that an error of the schema is about."""
    at = plain_yaml.node_at(node, error.absolute_path)
    if error.validator == "additionalProperties":
        return {key.start_mark.line + 1 for key, _ in at.value
                if key.value not in error.schema["properties"]}
    return {at.start_mark.line + 1}.union(*(lines_of(node, e) for e in error.context or ()))


def fixtures(kind):
    found = sorted(glob.glob(os.path.join(DATA, kind, "**/*.yaml"), recursive=True))
    check(found, "no fixtures below %s" % DATA)
    for path in found:
        with open(path, newline="", encoding="utf-8", errors="surrogateescape") as f:
            yield path, f.read()


@case("it is a schema, with a description of every key and defaults that fit")
def _():
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    found = list(properties(SCHEMA))
    check(len(found) > 100, "only %d keys" % len(found))
    for path, value in found:
        check(value.get("description"), "no description of %s" % "/".join(path))
        if "default" in value:
            wrong = list(jsonschema.Draft7Validator(value).iter_errors(value["default"]))
            equal(wrong, [], "what is wrong with the default of %s" % "/".join(path))


@case("what `netshared check` takes is right")
def _():
    for path, text in fixtures("good"):
        if plain_yaml.load(text)[0] is not None:
            equal(problems(text), [], path)


@case("so are the examples of the manual")
def _():
    for section, line, text in manual.examples(manual.read("man/netshared.yaml.5")):
        place = dict(manual.SECTIONS, CHECKS="routes").get(section)
        if place and not text.startswith(place):
            text = place + ":\n" + text
        equal(problems(text), [], "the example at line %d" % line)


@case("and the default file, with what it proposes")
def _():
    text = manual.read("conf/netshared.yaml")
    equal(problems(text), [], "as it is delivered")
    sections = re.findall(r"^# [a-z-]+:\n(?:#(?: .*)?\n)*", text, re.M)
    equal(len(sections), len(SCHEMA["properties"]) - 1, "how many sections it proposes")
    for section in sections:
        equal(problems(re.sub(r"^# ?", "", section, flags=re.M)), [], section)


@case("where a key is wrong it says so, on the line that `netshared check` names")
def _():
    told = 0
    for path, text in fixtures("bad"):
        try:
            data, node = plain_yaml.load(text)
        except (yaml.YAMLError, ValueError):
            continue
        if data is None or ".d/" in path:
            continue
        said = json.loads(subprocess.run([NETSHARED, "check", "--json", path],
                                         capture_output=True, text=True, check=False).stdout)
        said = [d for d in said["diagnostics"] if d["severity"] == "error" and d["file"] == path]
        found = set().union(*(lines_of(node, e) for e in VALIDATOR.iter_errors(data)))
        if said:
            equal(found - {d.get("line") for d in said}, set(), path + ": lines it is wrong about")
        for d in said:
            if OF_A_KEY.search(d["message"]) and not RANGE.search(d["source"]):
                check(d["line"] in found, "%s:%d: %s" % (path, d["line"], d["message"]))
                told += 1
    check(told > 100, "only %d" % told)


main(root=False)
