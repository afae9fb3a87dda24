#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# install-default.sh FILE TARGET - the default configuration, where there is none yet. An upgrade
# must not overwrite what the administrator wrote.
set -eu
target=${DESTDIR:-}$2
if [ -e "$target" ] || [ -L "$target" ]; then
    echo "Keeping the $target that is there"
    exit 0
fi
mkdir -p "${target%/*}"
install -m 0644 "$1" "$target"
