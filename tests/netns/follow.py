# SPDX-License-Identifier: GPL-2.0-or-later
"""`settings: watch: true`: a change of the files is a reload, whatever way they were changed."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

from daemon import Daemon
from netns import wait_until
from tap import case, check, equal, main
from topology import Router

FILE = """version: 1
settings: {resync: 1h, watch: true}
routes:
  - {to: %s, via: 192.0.2.2, dev: eth1}
"""
A, B, C = "10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16"


def routes(w):
    return sorted(line.split()[0] for line in w.router.ip("route show proto 110").splitlines())


def become(w, wanted, what):
    wait_until(lambda: routes(w) == sorted(wanted), what)


def put(path, text):
    """Into the file that is there, as `cat >FILE` does it."""
    with open(path, "w") as f:
        f.write(text)


def reloads(d, since):
    return len([line for line in d.log_lines(since) if "reloaded" in line])


@case("a file that is renamed into place, written into, or put there as editors do it")
def _():
    with Router() as w:
        d = Daemon(w.router, FILE % A).start()
        become(w, [A], "at first")
        mark = d.mark()
        d.write(FILE % B)
        become(w, [B], "renamed into place")
        d.wait_log("file %s changed" % re.escape(d.config), since=mark)
        put(d.config, FILE % C)
        become(w, [C], "written into")
        # vim, with a backup: the old one goes aside, a new one is made.
        os.rename(d.config, d.config + "~")
        put(d.config, FILE % A)
        become(w, [A], "as vim does it")
        os.unlink(d.config + "~")
        # A hard link, as some backup programs restore it.
        put(d.config + ".b", FILE % B)
        os.unlink(d.config)
        os.link(d.config + ".b", d.config)
        become(w, [B], "linked into place")
        d.stop()


@case("one reload for what changes at once, and none for what does not concern it")
def _():
    with Router() as w:
        d = Daemon(w.router, FILE % A).start()
        mark = d.mark()
        put(os.path.join(d.base, "notes.yaml"), "no configuration")
        for i in range(20):
            d.write(FILE % ("10.1%02d.0.0/16" % i))
        d.write(FILE % B)
        become(w, [B], "the last of them")
        d.wait_log("reloaded", since=mark)  # said once it stands
        check(1 <= reloads(d, mark) <= 2, "reloads: %d" % reloads(d, mark))
        mark = d.mark()
        put(os.path.join(d.base, "notes.yaml"), "still none")
        d.write(FILE % C)
        become(w, [C], "the next one")
        check(not [line for line in d.log_lines(mark) if "notes" in line], "not followed")
        d.stop()


@case("a bad file changes nothing, and a good one after it does")
def _():
    with Router() as w:
        d = Daemon(w.router, FILE % A).start()
        mark = d.mark()
        put(d.config, (FILE % B).replace("via", "vai"))
        d.wait_log("unknown key 'vai'", since=mark)
        equal(routes(w), [A], "as it was")
        mark = d.mark()
        os.unlink(d.config)
        d.wait_log("can't be opened", since=mark)
        equal(routes(w), [A], "without a file too")
        put(d.config, FILE % B)
        become(w, [B], "mended")
        d.stop()


@case("drop-ins that come, change and go")
def _():
    with Router() as w:
        d = Daemon(w.router, FILE % A).start()
        drop_in = "version: 1\nroutes:\n  - {to: %s, via: 192.0.2.2, dev: eth1}\n"
        directory = os.path.splitext(d.config)[0] + ".d"
        path = d.write(drop_in % B, directory + "/b.yaml")
        become(w, [A, B], "one came, and its directory with it, if that was not there")
        put(path, drop_in % C)
        become(w, [A, C], "it changed")
        os.unlink(path)
        become(w, [A], "it went")
        mark = d.mark()
        os.rmdir(directory)
        line = d.wait_log("is read again", since=mark)
        check("/.yaml" not in line, "a file that nobody made: %s" % line)
        d.stop()


@case("prefix files, also where they lie is new")
def _():
    with Router() as w:
        d = Daemon(w.router, FILE % A).start()
        lists = os.path.join(d.base, "lists")
        os.mkdir(lists, 0o755)
        put(lists + "/one", B + "\n")
        d.write(FILE % "{file: lists/one}")
        become(w, [B], "from the file")
        put(lists + "/one", B + "\n" + C + "\n")
        become(w, [B, C], "it changed")
        # The whole directory is replaced.
        os.mkdir(lists + ".new", 0o755)
        put(lists + ".new/one", A + "\n")
        os.rename(lists, lists + ".old")
        os.rename(lists + ".new", lists)
        become(w, [A], "another directory of the same name")
        put(lists + "/one", C + "\n")
        become(w, [C], "what is in that is followed")
        d.stop()


@case("a ConfigMap: the kubelet turns one link")
def _():
    with Router() as w:
        volume = os.path.join(w.router.world.directory, "volume")

        def publish(name, text):
            os.makedirs(os.path.join(volume, name), 0o755)
            put(os.path.join(volume, name, "netshared.yaml"), text)
            os.symlink(name, os.path.join(volume, "..data_tmp"))
            os.rename(os.path.join(volume, "..data_tmp"), os.path.join(volume, "..data"))

        publish("..2026_1", FILE % A)
        os.symlink("..data/netshared.yaml", os.path.join(volume, "netshared.yaml"))
        d = Daemon(w.router, path=os.path.join(volume, "netshared.yaml")).start()
        become(w, [A], "at first")
        for i, to in enumerate([B, C, A]):
            publish("..2026_%d" % (i + 2), FILE % to)
            become(w, [to], "turned %d times" % (i + 1))
        mark = d.mark()
        publish("..2026_9", "routes: 7\n")
        d.wait_log("error", since=mark)
        equal(routes(w), [A], "a bad one changes nothing")
        publish("..2026_10", FILE % B)
        become(w, [B], "and the next one counts")
        d.stop()


@case("--trust-files: a volume's folder that is open to all, as the kubelet makes it")
def _():
    with Router() as w:
        volume = os.path.join(w.router.world.directory, "volume")
        os.mkdir(volume)
        put(volume + "/netshared.yaml", FILE % A)
        os.chmod(volume, 0o777)
        d = Daemon(w.router, path=volume + "/netshared.yaml").start(wait=False)
        equal(d.wait_exit(), 1, "without it")
        d.start(extra=["--trust-files"])
        become(w, [A], "taken")
        d.wait_log("can be written by others")
        put(volume + "/netshared.yaml", FILE % B)
        become(w, [B], "and reloaded")
        d.stop()


@case("only where it is asked for, from a reload on and until one")
def _():
    with Router() as w:
        quiet = (FILE % A).replace(", watch: true", "")
        d = Daemon(w.router, quiet).start()
        d.write(FILE % B)
        equal(routes(w), [A], "not followed")
        d.cli("reload", check=True)
        become(w, [B], "reloaded")
        mark = d.mark()
        d.write(quiet)
        become(w, [A], "followed, for the last time")
        d.wait_log("reloaded", since=mark)  # said once it stands
        mark = d.mark()
        d.write(FILE % C)
        d.cli("status", check=True)
        check(not d.log_lines(mark), "nothing is said")
        equal(routes(w), [A], "nor done")
        d.stop()


main()
