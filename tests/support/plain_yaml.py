# SPDX-License-Identifier: GPL-2.0-or-later
"""YAML as netshared and an editor's language server read it: 1.2, where "on" is a word."""

import re

import yaml

RESOLVERS = (
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(?:true|false)$", list("tf")),
    ("int", r"^(?:-?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+)$", list("-0123456789")),
    ("float", r"^-?[0-9]+\.[0-9]+$", list("-0123456789")),
)


class Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = {}


for name, pattern, first in RESOLVERS:
    Loader.add_implicit_resolver("tag:yaml.org,2002:" + name, re.compile(pattern), first)
Loader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(node.value, 0))


def load(text):
    """(the data, the node it came from, which knows its lines)"""
    return yaml.load(text, Loader), yaml.compose(text, Loader)


def node_at(node, path):
    for step in path:
        if isinstance(node, yaml.MappingNode):
            node = [value for key, value in node.value if key.value == step][-1]
        else:
            node = node.value[step]
    return node
