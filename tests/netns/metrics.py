# SPDX-License-Identifier: GPL-2.0-or-later
"""Metrics: what is counted, how it is written, and who asks for it rudely."""

import json
import os
import re
import shutil
import socket
import stat
import subprocess
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families as parse_text

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

from daemon import Daemon
from netns import wait_until
from tap import case, check, contains, diag, equal, main
from topology import BASIC, BASIC_ROUTE, CLIENT4, SERVER4, WAN4, Lan, Router
from traffic import udp_peer

SHARE = """version: 1
settings: {resync: 1h}
share:
  - {name: home, lan: eth0, wan: eth1}
"""


def values(families, name, **labels):
    """The values of all samples of a name that have these labels."""
    return [s.value for f in families for s in f.samples
            if s.name == name and all(s.labels.get(k) == v for k, v in labels.items())]


def ask(path, request=b"GET /metrics HTTP/1.0\r\n\r\n", timeout=20.0):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(timeout)
        s.connect(path)
        s.sendall(request)
        answer = b""
        while True:
            try:
                more = s.recv(65536)
            except ConnectionResetError:  # it did not read all that it was sent
                more = b""
            if not more:
                return answer.decode()
            answer += more


@case("both formats are what their parsers take")
def _():
    with Router() as w:
        d = Daemon(w.router, BASIC).start()
        w.router.ip("route del " + BASIC_ROUTE)
        d.wait_log("restored")
        text = d.cli("metrics", check=True).stdout
        families = list(parse_text(text))
        equal(values(families, "netshared_repairs_total", kind="route", cause="removed"), [1],
              "repairs")
        equal(values(families, "netshared_repair_duration_seconds_count"), [1], "their times")
        equal(values(families, "netshared_objects", kind="route", state="held"), [1], "objects")
        equal(values(families, "netshared_configuration_in_force"), [1], "the configuration")
        promtool = shutil.which("promtool")
        if promtool:
            result = subprocess.run([promtool, "check", "metrics"], input=text, text=True,
                                    capture_output=True, check=False)
            equal((result.returncode, result.stdout, result.stderr), (0, "", ""), "promtool's words")
        else:
            diag("promtool is not here: its opinion is not asked")
        families = list(parse_open(d.cli("metrics", "--openmetrics", check=True).stdout))
        equal(values(families, "netshared_repairs_total", kind="route", cause="removed"), [1],
              "the same as OpenMetrics")
        d.write("version: 2\n")
        d.reload(check=False)
        families = list(parse_text(d.cli("metrics", check=True).stdout))
        equal(values(families, "netshared_configuration_in_force"), [0], "a bad file")
        equal(values(families, "netshared_configuration_loads_total", result="bad"), [1], "reloads")
        d.stop()


@case("the dashboard and the alerts ask for what is told")
def _():
    conf = os.path.join(os.environ["NSH_TEST_DATA"], "../../conf/monitoring")
    with open(os.path.join(conf, "netshared-dashboard.json"), encoding="utf-8") as f:
        dashboard = json.load(f)
    asked = [t["expr"] for p in dashboard["panels"] for t in p["targets"]]
    with open(os.path.join(conf, "netshared.rules.yml"), encoding="utf-8") as f:
        asked += re.findall(r"expr: (?:>-\n)?((?:.*\n)*?) *(?:for|labels):", f.read())
    check(len(asked) > 20, "not all is read: %r" % asked)
    with Lan() as w:
        d = Daemon(w.router, SHARE).start()
        families = list(parse_text(d.cli("metrics", check=True).stdout))
        d.stop()
    told = {s.name: s.labels for f in families for s in f.samples}
    for expression in asked:
        for name, braces in re.findall(r"\b(netshared_\w+)(?:\{([^}]*)\})?", expression):
            check(name in told, "nothing tells %s, which is asked for in %s" % (name, expression))
            labels = set(re.findall(r"(\w+)=~?\"", braces)) - {"instance"}
            check(labels <= set(told[name]), "%s has no %s" % (name, labels - set(told[name])))
    if shutil.which("promtool"):
        for argv in (("check", "rules", conf + "/netshared.rules.yml"),
                     ("test", "rules", os.environ["NSH_TEST_DATA"] + "/alerts-test.yml")):
            result = subprocess.run(["promtool", *argv], text=True, capture_output=True, check=False)
            equal(result.returncode, 0, "promtool, with %s%s" % (result.stdout, result.stderr))


@case("policies: packets and bytes, in metrics and status")
def _():
    with Lan() as w:
        w.serve()
        d = Daemon(w.router, SHARE).start()
        for _ in range(3):
            equal(udp_peer(w.client, SERVER4), WAN4, "the address the server sees")
        check(udp_peer(w.server, CLIENT4, timeout=0.3) is None, "nothing from outside")

        def counted(verdict, what="packets", family="ipv4"):
            families = list(parse_text(d.cli("metrics", check=True).stdout))
            return values(families, "netshared_policy_%s_total" % what, policy="home",
                          family=family, verdict=verdict)

        equal(counted("translated"), [3], "connections translated")
        wait_until(lambda: counted("accepted")[0] >= 6, "both ways of three exchanges")
        check(counted("accepted", "bytes")[0] > 6 * 28, "their bytes")
        check(counted("dropped")[0] >= 1, "what was kept out")
        equal(counted("accepted", family="ipv6"), [0], "IPv6")
        ports = d.status()["ports"]
        equal([(p["address"], p["connections"], p["fullest"]["to"], p["fullest"]["protocol"])
               for p in ports], [(WAN4, 3, SERVER4, "udp")], "ports in use, in status")
        contains(d.cli("status", check=True).stdout,
                 "%s has 3 in use, at most 3 of them towards one place: %s, udp port" % (
                     WAN4, SERVER4), "the same as text")
        shown = d.object("home (ipv4)")
        equal(shown["translated"]["packets"], 3, "the same in status")
        check(shown["accepted"]["bytes"] > 0, "bytes in status")
        d.stop()


@case("a file for node_exporter is replaced in one step")
def _():
    with Router() as w:
        d = Daemon(w.router, BASIC).start()
        path = os.path.join(d.base, "netshared.prom")
        for _ in range(2):
            d.cli("metrics", "--output", path, check=True)
            with open(path, encoding="utf-8") as f:
                check(list(parse_text(f.read())), "it can be read")
        equal(os.stat(path).st_mode & 0o777, 0o644, "others may read it")
        equal([n for n in os.listdir(d.base) if n.startswith("netshared.prom")],
              ["netshared.prom"], "nothing is left beside it")
        result = d.cli("metrics", "--output", "/nonexistent/x.prom")
        equal(result.returncode, 1, "exit code where it can't be written")
        contains(result.stderr, "/nonexistent/x.prom: No such file", "why")
        os.chmod(path, 0o640)
        d.cli("metrics", "--output", path, check=True)
        equal(os.stat(path).st_mode & 0o777, 0o640, "the mode that it had")
        fifo = os.path.join(d.base, "fifo")
        os.mkfifo(fifo)
        result = d.cli("metrics", "--output", fifo)
        equal(result.returncode, 1, "exit code for a pipe")
        contains(result.stderr, "no regular file", "why")
        check(stat.S_ISFIFO(os.stat(fifo).st_mode), "it is there yet")
        d.stop()


@case("the socket answers scrapers, and the rude do not hold it up")
def _():
    with Router() as w:
        d = Daemon(w.router, BASIC).start()
        path = os.path.join(d.runtime, "metrics")
        equal(os.stat(path).st_mode & 0o777, 0o600, "for root alone")
        head, body = ask(path).split("\r\n\r\n", 1)
        contains(head, "HTTP/1.0 200", "the answer")
        contains(head, "application/openmetrics-text; version=1.0.0", "its type")
        check(list(parse_open(body)), "what it holds")
        equal(ask(path, b"x" * 5000), "", "what never ends is no request")
        idle = []
        for _ in range(6):  # more than there are places
            s = socket.socket(socket.AF_UNIX)
            s.connect(path)
            idle.append(s)
        d.status()  # the daemon does everything else meanwhile
        with socket.socket(socket.AF_UNIX) as gone:
            gone.connect(path)
            gone.sendall(b"GET / HTTP/1.0\r\n\r\n")
        contains(ask(path), "# EOF", "who waits gets a place when the silent lose theirs")
        for s in idle:
            s.close()
        contains(ask(path), "# EOF", "and afterwards")
        d.stop()
        check(not os.path.lexists(path), "it goes with the daemon")


main()
