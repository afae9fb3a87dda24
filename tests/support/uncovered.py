#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""uncovered.py COVERAGE.json - the lines that gcovr saw nobody run through, with their text, by the
reason why no test gets there as far as the line itself tells it; tests/coverage.md says more.
"""
import json
import re
import sys

# The first that fits counts.
REASONS = [
    ("no memory", r"ENOMEM|no_memory|no-memory|[Oo]ut of memory|no memory"),
    ("hands on that a call failed",
     r"^return (\(int\))?(r|q|e|rc|n|fd|code|-errno|errno .*|.*\? -?\w+ : -errno);$"
     r"|^return r < 0 \? r : .*;$|^(r|e|q) = -errno;$|^\w+->error = (r|q|e);$|nsh_no_answer"
     r"|NSH_EXIT_FAILED;|-EIO\b|ETIMEDOUT|-EINTR"),
    ("says that a call failed", r"strerror|nsh_complain\(|cannot |can't be |failed"),
    ("more than there is room for",
     r"E2BIG|EFBIG|EMSGSIZE|ENAMETOOLONG|EOVERFLOW|ERANGE|too many|too long|larger than|more than"
     r"|one too many|\.\.\."),
    ("what the contract forbids its caller",
     r"-EINVAL|-EAFNOSUPPORT|-EALREADY|-EBADF|refuse\("),
    ("an answer that the kernel does not give", r"EPROTO|EBADMSG"),
    ("the end of a failed attempt, or of nothing at all",
     r"^return( (NULL|false|0|buf|-1|\"\"|NSH_NO_LINK|NSH_NO_GATE|SIZE_MAX))?;$|_done\(|_free\("
     r"|free\(|close\w*\("),
]


def reason_of(text):
    return next((reason for reason, pattern in REASONS if re.search(pattern, text)), "others")


def main(path):
    with open(path, encoding="utf-8") as f:
        files = json.load(f)["files"]
    found = {reason: [] for reason in [*(reason for reason, _ in REASONS), "others"]}
    for entry in sorted(files, key=lambda entry: entry["file"]):
        with open(entry["file"], encoding="utf-8") as source:
            text = source.read().splitlines()
        for line in entry["lines"]:
            if line["count"] == 0 and not line.get("gcovr/noncode"):
                number = line["line_number"]
                said = text[number - 1].strip()
                found[reason_of(said)].append(f"{entry['file']}:{number}: {said}")
    for reason, lines in found.items():
        print(f"# {reason}: {len(lines)}", *lines, "", sep="\n")


if __name__ == "__main__":
    main(sys.argv[1])
