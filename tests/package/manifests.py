#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""manifests.py FILE - whether the manifests are such as Kubernetes' own client for Python takes,
whose models are made from the API: every field is known and of its type, and none that is required
is missing. It asks no cluster. Package: python3-kubernetes."""

import re
import sys

import kubernetes.client
import yaml

PLAIN = {"str": str, "int": int, "bool": bool, "float": (int, float), "object": object}


def build(value, wanted, where):
    """The value as one of the client's objects."""
    if match := re.fullmatch(r"list\[(.*)\]", wanted):
        assert isinstance(value, list), where
        return [build(v, match[1], "%s[%d]" % (where, i)) for i, v in enumerate(value)]
    if match := re.fullmatch(r"dict\(str, (.*)\)", wanted):
        assert isinstance(value, dict), where
        return {k: build(v, match[1], where + "." + k) for k, v in value.items()}
    if wanted in PLAIN:
        # True is an int to Python alone
        good = isinstance(value, PLAIN[wanted]) and (wanted != "int" or type(value) is not bool)
        assert good, "%s: %r is no %s" % (where, value, wanted)
        return value
    model = getattr(kubernetes.client, wanted)
    names = {model.attribute_map[a]: a for a in model.attribute_map}
    assert isinstance(value, dict), where
    unknown = set(value) - set(names)
    assert not unknown, "%s: unknown: %s" % (where, ", ".join(sorted(unknown)))
    # The constructor refuses one without what is required.
    return model(**{names[k]: build(v, model.openapi_types[names[k]], where + "." + k)
                    for k, v in value.items()})


with open(sys.argv[1], encoding="utf-8") as f:
    for document in yaml.safe_load_all(f):
        version = document["apiVersion"].rpartition("/")[2]
        build(document, version[0].upper() + version[1:] + document["kind"], document["kind"])
        print(document["kind"])
