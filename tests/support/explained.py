# SPDX-License-Identifier: GPL-2.0-or-later
"""What explain says, and whether a packet that is really sent meets just that."""

import json

from tap import check, equal
from traffic import PORT, udp_peer


def said(d, *argv):
    """(verdict, JSON)."""
    result = d.cli("explain", *argv, "--json")
    check(result.returncode in (0, 3), "exit code %d: %s" % (result.returncode, result.stderr))
    answer = json.loads(result.stdout)
    equal(answer["passes"], result.returncode == 0, "what the exit code says")
    return answer


def doubted(d, *argv):
    """JSON of what neither passes nor stops for certain."""
    result = d.cli("explain", *argv, "--json")
    equal(result.returncode, 1, "exit code, with " + result.stdout + result.stderr)
    answer = json.loads(result.stdout)
    equal((answer["passes"], answer["stopped_at"], answer["fix"]), (None, None, None), "the verdict")
    check(answer["reason"], "a reason")
    return answer


def step(answer, name):
    return next((s for s in answer["steps"] if s["name"] == name), {})


def stops(answer):
    """The name of the step that stops it; None: none does."""
    names = [s["name"] for s in answer["steps"] if s["stops"]]
    equal(bool(names), not answer["passes"], "a step stops it or none does")
    if names:
        equal(answer["steps"][answer["stopped_at"] - 1]["name"], names[0], "the number of the step")
        check(answer["reason"], "a reason")
    return names[0] if names else None


def agree(d, asker, source, target, where=None, port=PORT, argv=(), ns_port=None):
    """Sends one, explains it, and compares; the explanation. `where`: the step that must stop it."""
    seen = udp_peer(asker, target, port=port, timeout=0.4 if where else 3.0)
    answer = said(d, source, target, "--protocol", "udp", "--port", str(port), *argv)
    text = json.dumps(answer, indent=1)
    equal(stops(answer), where, "the step that stops it, in\n" + text)
    equal(answer["passes"], seen is not None, "the packet was seen as %s, and this said\n%s" %
          (seen, text))
    if seen is not None and step(answer, "source"):
        equal(step(answer, "source")["source"], seen, "what it appears as")
    return answer


def words(answer):
    return "\n".join(text for s in answer["steps"] for text in s["text"])
