#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the shells complete, by the shells themselves."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

import manual
from tap import Skip, case, check, equal, main

NETSHARED = os.environ["NETSHARED"]
SCRIPTS = os.path.join(manual.TOP, "conf/completions")
ENV = dict(os.environ, PATH=os.path.dirname(NETSHARED) + ":" + os.environ["PATH"], HOME="/nowhere")

BASH = r"""
source "$1/netshared.bash"; shift
COMP_WORDS=(netshared "$@") COMP_CWORD=$#
_netshared netshared "${!#}" "" && printf '%s\n' "${COMPREPLY[@]}"
"""
# zsh completes only what is typed at a terminal: what its helpers would be told is printed.
ZSH = r"""
compset() { [[ $2 == '--*=' ]] }
_files() { print -r -- ":files $*" }
_describe() { print -rl -- "${(@P)2}" }
words=(netshared "${@:2}") CURRENT=$#
source $1/_netshared
"""
FISH = r"""
source $argv[1]/netshared.fish
complete -C "netshared $argv[2..-1]"
"""


def said(argv, script, *words, cwd="/"):
    shell = shutil.which(argv[0])
    if not shell:
        raise Skip("there is no %s here" % argv[0])
    # fish takes no name of its own before the words.
    named = [] if argv[0] == "fish" else ["test"]
    result = subprocess.run([shell, *argv[1:], script, *named, SCRIPTS, *words], cwd=cwd, env=ENV,
                            capture_output=True, text=True, timeout=60, check=False)
    equal(result.stderr, "", "stderr of %s" % argv[0])
    return [line for line in result.stdout.splitlines() if line]


def bash(*words, **more):
    return said(["bash", "--norc", "-c"], BASH, *words, **more)


def zsh(*words, **more):
    return said(["zsh", "-f", "-c"], ZSH, *words, **more)


def fish(*words, **more):
    return said(["fish", "--no-config", "-c"], FISH, *words, **more)


def commands():
    text = subprocess.run([NETSHARED, "--help"], capture_output=True, text=True, check=True).stdout
    text = text.split("\nCommands:\n")[1].split("\n\n")[0]
    return [line.split()[0] for line in text.splitlines() if line[2] != " "]


class Folder:
    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        for name in ("one file.yaml", "other.yaml"):
            with open(os.path.join(self.folder.name, name), "w"):
                pass
        os.mkdir(os.path.join(self.folder.name, "place"))
        return self.folder.name

    def __exit__(self, *args):
        self.folder.cleanup()


@case("bash: commands, options and files")
def _():
    equal(bash(""), commands(), "all commands")
    equal(bash("che"), ["check"], "a command begun")
    equal(bash("check", "--js"), ["--json"], "an option begun")
    check("--json" not in bash("reload", "--"), "'reload' has no --json")
    check("--json" not in bash("check", "--json", "--"), "it is given already")
    with Folder() as folder:
        equal(sorted(bash("check", "o", cwd=folder)), ["one file.yaml", "other.yaml"], "files")
        equal(sorted(bash("--config", "=", "ot", cwd=folder)), ["other.yaml"], "behind a =")
        equal(sorted(bash("--config", "=", cwd=folder)), ["one file.yaml", "other.yaml", "place"],
              "right behind a =")
        equal(bash("--state-directory", "", cwd=folder), ["place"], "folders")
    equal(bash("bogus", ""), [], "behind what is no command")


@case("zsh: commands with what they do, options and files")
def _():
    equal([line.split(":")[0] for line in zsh("")], commands(), "all commands")
    equal(zsh("chec"), ["check:say what is wrong with the file"], "a command begun")
    equal(zsh("check", "--js"), ["--json:for programs"], "an option begun")
    equal(zsh("check", "o"), [":files "], "files")
    equal(zsh("--config=o"), [":files "], "files behind a =")
    equal(zsh("--state-directory", ""), [":files -/"], "folders")
    equal(zsh("bogus", ""), [], "behind what is no command")


@case("fish: commands with what they do, options and files")
def _():
    equal(sorted(line.split("\t")[0] for line in fish("")), sorted(commands()), "all commands")
    equal(fish("chec"), ["check\tsay what is wrong with the file"], "a command begun")
    equal(fish("check", "--js"), ["--json\tfor programs"], "an option begun")
    with Folder() as folder:
        equal(sorted(line.split("\t")[0] for line in fish("check", "o", cwd=folder)),
              ["one file.yaml", "other.yaml"], "files")
        equal([line.split("\t")[0] for line in fish("--config=ot", cwd=folder)],
              ["--config=other.yaml"], "files behind a =")
        equal([line.split("\t")[0] for line in fish("--state-directory", "''", cwd=folder)],
              ["place/"], "folders")
    equal(fish("bogus", "''"), [], "behind what is no command")


@case("the names of policies, from the file where no daemon runs")
def _():
    text = subprocess.run([NETSHARED, "--help"], capture_output=True, text=True, check=True).stdout
    takes = re.search(r"^  (\w+) \[?NAME\]?", text, re.M)
    if not takes:
        raise Skip("no command takes a name")
    with Folder() as folder:
        path = os.path.join(folder, "netshared.yaml")
        with open(path, "w") as f:
            f.write("version: 1\nroutes:\n  - {to: default, via: 192.0.2.1}\n"
                    "share:\n  - {name: home, lan: eth0, wan: eth1}\n"
                    "masquerade:\n  - {name: lan-out, out: eth2, family: [ipv4, ipv6]}\n")
        where = ("--config", path, "--runtime-directory", folder)
        equal(sorted(bash(*where, takes.group(1), "")), ["home", "lan-out"], "all")
        equal(sorted(set(zsh(*where, takes.group(1), "l"))), ["lan-out:masquerade"], "one begun")


main(root=False)
