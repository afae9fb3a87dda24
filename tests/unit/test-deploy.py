#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""test-deploy.py - what is under conf/deploy, as far as it can be judged by reading it."""
import copy
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

from tap import case, check, equal, main

try:
    import yaml
except ImportError as e:
    print("1..0 # SKIP %s (apt install python3-yaml)" % e)
    sys.exit(0)

NETSHARED = os.environ["NETSHARED"]
TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as f:
        return f.read()


MANIFESTS = "conf/deploy/kubernetes/netshared.yaml"
CONTAINERFILE = "conf/deploy/Containerfile"
DOCS = {d["kind"]: d for d in yaml.safe_load_all(read(MANIFESTS))}
POD = DOCS["DaemonSet"]["spec"]["template"]["spec"]

# Kubernetes' API, of which the manifests may use no more: a field's type, or the words it knows.
# `name!` is required. {str: str} is a mapping of any keys.
LABELS = {str: str}
METADATA = {"name!": str, "namespace": str, "labels": LABELS, "annotations": LABELS}
MOUNT = {"name!": str, "mountPath!": str, "readOnly": bool, "mountPropagation": str}
HOST_PATH = {"path!": str, "type": ("Directory", "DirectoryOrCreate", "File", "FileOrCreate")}
PROBE = {"exec": {"command!": [str]}, "initialDelaySeconds": int, "periodSeconds": int,
         "timeoutSeconds": int, "failureThreshold": int}
CONTAINER = {
    "name!": str, "image!": str, "command": [str], "args": [str],
    "imagePullPolicy": ("Always", "IfNotPresent", "Never"),
    "securityContext": {
        "runAsUser": int, "runAsGroup": int, "privileged": bool, "readOnlyRootFilesystem": bool,
        "allowPrivilegeEscalation": bool, "capabilities": {"drop": [str], "add": [str]},
        "seccompProfile": {"type!": ("RuntimeDefault", "Unconfined")}},
    "resources": {"requests": LABELS, "limits": LABELS},
    "livenessProbe": PROBE, "readinessProbe": PROBE, "startupProbe": PROBE, "volumeMounts": [MOUNT],
}
POD_SPEC = {
    "nodeSelector": LABELS, "hostNetwork": bool, "automountServiceAccountToken": bool,
    "priorityClassName": str, "terminationGracePeriodSeconds": int,
    "tolerations": [{"key": str, "operator": ("Exists", "Equal"), "value": str,
                     "effect": ("NoSchedule", "PreferNoSchedule", "NoExecute")}],
    "containers!": [CONTAINER],
    "volumes": [{"name!": str, "configMap": {"name": str, "defaultMode": int, "optional": bool},
                 "hostPath": HOST_PATH}],
}
KINDS = {
    "Namespace": {"apiVersion!": ("v1",), "kind!": str, "metadata!": METADATA},
    "ConfigMap": {"apiVersion!": ("v1",), "kind!": str, "metadata!": METADATA, "data": LABELS,
                  "immutable": bool},
    "DaemonSet": {
        "apiVersion!": ("apps/v1",), "kind!": str, "metadata!": METADATA,
        "spec!": {
            "selector!": {"matchLabels": LABELS}, "minReadySeconds": int,
            "updateStrategy": {
                "type": ("RollingUpdate", "OnDelete"),
                "rollingUpdate": {"maxSurge": int, "maxUnavailable": int}},
            "template!": {"metadata": {"labels": LABELS, "annotations": LABELS},
                          "spec!": POD_SPEC}}},
}


def problems(value, wanted, where):
    """What of it is not such as Kubernetes takes."""
    if isinstance(wanted, tuple):
        if value not in wanted:
            yield "%s: %r is none of %s" % (where, value, ", ".join(wanted))
    elif isinstance(wanted, type):
        # True is an int to Python alone
        if type(value) is not wanted:
            yield "%s: %r is no %s" % (where, value, wanted.__name__)
    elif type(value) is not type(wanted):
        yield "%s: no %s" % (where, type(wanted).__name__)
    elif isinstance(wanted, list):
        for i, item in enumerate(value):
            yield from problems(item, wanted[0], "%s[%d]" % (where, i))
    else:
        yield from problems_of_fields(value, wanted, where)


def problems_of_fields(value, wanted, where):
    fields = {name.rstrip("!"): of for name, of in wanted.items() if name is not str}
    for name in wanted:
        if name is not str and name.endswith("!") and name[:-1] not in value:
            yield "%s: without %s" % (where, name[:-1])
    for name, item in value.items():
        of = fields.get(name, wanted.get(str))
        if of is None:
            yield "%s: unknown field %s" % (where, name)
        else:
            yield from problems(item, of, "%s.%s" % (where, name))


@case("the manifests are of fields that Kubernetes has, and of their types")
def _():
    equal(sorted(DOCS), sorted(KINDS), "kinds")
    for kind, doc in DOCS.items():
        equal(list(problems(doc, KINDS[kind], kind)), [], kind)
        equal(doc["metadata"].get("namespace", "netshared"), "netshared", kind)


@case("what is wrong in a manifest is found")
def _():
    def found(change):
        doc = copy.deepcopy(DOCS["DaemonSet"])
        pod = doc["spec"]["template"]["spec"]
        change(doc["spec"], pod, pod["containers"][0])
        return " ".join(problems(doc, KINDS["DaemonSet"], "D"))

    pod = "D.spec.template.spec"
    for change, problem in (
            (lambda s, p, c: p.update(hostNetwrk=True), pod + ": unknown field hostNetwrk"),
            (lambda s, p, c: p.update(hostNetwork="yes"), pod + ".hostNetwork: 'yes' is no bool"),
            (lambda s, p, c: c.pop("image"), pod + ".containers[0]: without image"),
            (lambda s, p, c: c.update(args="--x"), pod + ".containers[0].args: no list"),
            (lambda s, p, c: s["updateStrategy"].update(type="Rolling"),
             "D.spec.updateStrategy.type: 'Rolling' is none of RollingUpdate, OnDelete")):
        equal(found(change), problem, "found")


@case("the pods are found by their labels, and one goes before the next comes")
def _():
    spec = DOCS["DaemonSet"]["spec"]
    labels = spec["template"]["metadata"]["labels"]
    check(spec["selector"]["matchLabels"].items() <= labels.items(), "labels")
    equal(spec["updateStrategy"]["rollingUpdate"]["maxSurge"], 0, "maxSurge")


@case("the network of the node, two rights and no more")
def _():
    equal([POD["hostNetwork"], POD.get("hostPID"), POD.get("hostIPC")], [True, None, None], "network")
    equal(POD["automountServiceAccountToken"], False, "token")
    container, = POD["containers"]
    rights = container["securityContext"]
    equal(rights["capabilities"], {"drop": ["ALL"], "add": ["NET_ADMIN", "NET_RAW"]}, "rights")
    check(rights["readOnlyRootFilesystem"] and not rights["allowPrivilegeEscalation"],
          "read-only, no more rights")
    check(not rights.get("privileged"), "privileged")


# A subPath would never be updated.
@case("the ConfigMap is mounted whole, and every volume is used")
def _():
    volumes = {v["name"]: v for v in POD["volumes"]}
    mounts = {m["name"]: m for m in POD["containers"][0]["volumeMounts"]}
    equal(sorted(volumes), sorted(mounts), "volumes")
    equal([m for m in mounts.values() if "subPath" in m or m["mountPath"].startswith("/proc")], [],
          "mounts")
    equal(volumes["config"]["configMap"]["name"], DOCS["ConfigMap"]["metadata"]["name"],
          "ConfigMap")


@case("the file in the ConfigMap is good, and followed; so is what its comments propose")
def _():
    text = DOCS["ConfigMap"]["data"]["netshared.yaml"]
    check("watch: true" in text, "watch")
    # The folder is the ConfigMap's own: what is beside the file would count too.
    proposed = re.sub(r"(?m)^# ?(?=masquerade|  )", "", text)
    for content in (text, proposed):
        with tempfile.TemporaryDirectory() as d:
            path = os.path.join(d, "netshared.yaml")
            with open(path, "w", encoding="utf-8") as f:
                f.write(content)
            done = subprocess.run([NETSHARED, "check", path], capture_output=True, text=True, check=False)
        equal(done.returncode, 0, done.stdout + done.stderr)


@case("the options that container and pod are started with are known")
def _():
    said = "".join(subprocess.run([NETSHARED, command, "--help"], capture_output=True, text=True,
                                  check=True).stdout for command in ("run", "status"))
    words = re.findall(r'"(--[a-z-]+)"', read(CONTAINERFILE) + read(MANIFESTS))
    check(words, "there are some")
    equal([w for w in words if w not in said], [], "unknown")


@case("the Containerfile installs what a build needs, and drops all rights")
def _():
    text = read(CONTAINERFILE)
    needed = re.findall(r"lib[a-z0-9-]+-dev", read("tests/support/setup.sh"))
    equal([p for p in needed if p not in text and p != "libcmocka-dev"], [], "missing")
    equal(len(re.findall(r"(?m)^FROM ", text)), 2, "stages")
    check("--cap-drop all" in text, "rights")


main()
