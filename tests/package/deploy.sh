#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# deploy.sh BUILD-DIR - what is under conf/deploy beside the container, as far as it can be tried
# without a cluster: the manifests go through Kubernetes' own client, the Ansible role is judged by
# ansible-lint and run, in a container with a real systemd. TAP. As root.
#
# Packages: python3-kubernetes yamllint ansible-core ansible-lint systemd-container. What is missing is
# skipped.
set -u
# shellcheck source=tests/package/verdict.sh
. "$(dirname "$0")/verdict.sh"
build=$(cd "${1:?usage: deploy.sh BUILD-DIR}" && pwd) || exit 1
export PYTHONDONTWRITEBYTECODE=1
export HOME=$work
deploy=$top/conf/deploy

with yamllint "the manifests and the role are YAML" yamllint -d \
    '{extends: relaxed, rules: {line-length: {max: 110}}}' "$deploy"
if /usr/bin/python3 -c 'import kubernetes' 2>/dev/null; then
    verdict "the manifests are such as Kubernetes takes" \
        "$here/manifests.py" "$deploy/kubernetes/netshared.yaml"
else
    skip "the manifests are such as Kubernetes takes" "no python3-kubernetes here"
fi
with ansible-lint "ansible-lint has nothing to say" \
    ansible-lint --offline -q "$deploy/ansible/site.yml"
if command -v ansible-playbook >/dev/null && command -v systemd-nspawn >/dev/null; then
    mkdir "$work/tree"
    verdict "meson install" env DESTDIR="$work/tree" meson install -C "$build" --no-rebuild &&
        in_systemd "$work/tree:/tree" "$deploy:/deploy" -- /package/ansible-cases.sh
else
    skip "the role runs" "no ansible-playbook or no systemd-nspawn here"
fi
finish
