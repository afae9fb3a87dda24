#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# deploy.sh BUILD-DIR - what is under conf/packaging/rpm and conf/deploy, as far as it can be tried
# without a cluster: the RPM spec is parsed and its list of files compared with what is installed; the
# Containerfile's stages and the manifests are looked through; the Ansible role is run against this
# machine as a local host, with folders of the test's own. TAP.
#
# Packages: rpm ansible-core ansible-lint yamllint python3-yaml. What is missing is skipped.
set -u
# shellcheck source=tests/package/verdict.sh
. "$(dirname "$0")/verdict.sh"
build=$(cd "${1:?usage: deploy.sh BUILD-DIR}" && pwd) || exit 1
export ANSIBLE_LOCALHOST_WARNING=false ANSIBLE_NOCOLOR=1 PYTHONDONTWRITEBYTECODE=1
export HOME=$work
spec=$top/conf/packaging/rpm/netshared.spec play=$top/conf/deploy/ansible/site.yml

spec_is_sound() {
    rpmspec --load "$here/macros.rpm" -P "$spec" >"$work/spec" && ! grep '%{' "$work/spec" &&
        [ "$(rpmspec --load "$here/macros.rpm" -q --qf '%{version}\n' "$spec")" = \
            "$version" ]
}

# As meson installs for a distribution with RPM: every file is listed, and every line has one.
spec_lists_all() {
    local line path found=0
    DESTDIR=$work/root meson install -C "$build" --no-rebuild &&
        mkdir -p "$work/root/usr/lib/systemd" || return
    # Debian has its units in /lib, its completions for zsh elsewhere.
    [ ! -d "$work/root/lib/systemd" ] || cp -r "$work/root/lib/systemd/." "$work/root/usr/lib/systemd"
    rm -rf "$work/root/lib"
    if [ -d "$work/root/usr/share/zsh/vendor-completions" ]; then
        mv "$work/root/usr/share/zsh/vendor-completions" "$work/root/usr/share/zsh/site-functions"
    fi
    sed -n '/^%files/,/^%changelog/p' "$work/spec" | grep -o '/[^ ]*$' >"$work/listed"
    while read -r line; do
        compgen -G "$work/root$line" >/dev/null || { echo "not installed: $line" && found=1; }
    done <"$work/listed"
    while read -r path; do
        while read -r line; do
            # shellcheck disable=SC2053 # a pattern, as RPM takes it
            [[ $path == $line || ($line == */ && $path == $line*) ]] && continue 2
        done <"$work/listed"
        echo "not listed: $path"
        found=1
    done < <(cd "$work/root" && find . -type f -printf '/%P\n')
    return $found
}

# Host network, two rights and no more, the ConfigMap whole (a subPath would never be updated), and
# what it says is good.
manifests_are_sound() {
    python3 - "$top/conf/deploy/kubernetes/netshared.yaml" >"$work/configmap.yaml" <<'PYTHON' &&
import sys, yaml
with open(sys.argv[1]) as f:
    docs = {d["kind"]: d for d in yaml.safe_load_all(f)}
assert set(docs) == {"Namespace", "ConfigMap", "DaemonSet"}, set(docs)
for kind, version in (("Namespace", "v1"), ("ConfigMap", "v1"), ("DaemonSet", "apps/v1")):
    assert docs[kind]["apiVersion"] == version, kind
    assert docs[kind]["metadata"].get("namespace", "netshared") == "netshared"
spec = docs["DaemonSet"]["spec"]
labels = spec["template"]["metadata"]["labels"]
assert spec["selector"]["matchLabels"].items() <= labels.items()
assert spec["updateStrategy"]["rollingUpdate"]["maxSurge"] == 0
pod = spec["template"]["spec"]
assert pod["hostNetwork"] is True and not pod.get("hostPID") and not pod.get("hostIPC")
assert pod["automountServiceAccountToken"] is False
container, = pod["containers"]
rights = container["securityContext"]
assert rights["capabilities"] == {"drop": ["ALL"], "add": ["NET_ADMIN", "NET_RAW"]}
assert rights["readOnlyRootFilesystem"] and not rights["allowPrivilegeEscalation"]
assert not rights.get("privileged")
volumes = {v["name"]: v for v in pod["volumes"]}
mounts = {m["name"]: m for m in container["volumeMounts"]}
assert set(volumes) == set(mounts), set(volumes) ^ set(mounts)
assert not [m for m in mounts.values() if "subPath" in m or m["mountPath"].startswith("/proc")]
assert volumes["config"]["configMap"]["name"] == docs["ConfigMap"]["metadata"]["name"]
print(docs["ConfigMap"]["data"]["netshared.yaml"])
PYTHON
        "$build/daemon/netshared" check "$work/configmap.yaml" &&
        grep -q 'watch: true' "$work/configmap.yaml"
}

# The program's own words in the container and the pod are such as it takes.
words_are_known() {
    local word
    for word in $(grep -ohE '"--[a-z-]+"' "$top"/conf/deploy/Containerfile \
        "$top"/conf/deploy/kubernetes/netshared.yaml | tr -d '"'); do
        { "$build/daemon/netshared" run --help && "$build/daemon/netshared" status --help; } |
            grep -q -- "$word" || { echo "$word" && return 1; }
    done
}

# What the Containerfile installs to build and to run is what the other packages want.
container_has_all() {
    local package file=$top/conf/deploy/Containerfile
    for package in $(sed -n '/^BUILD_PACKAGES/,/)/p' "$top/tests/support/setup.sh" |
        grep -o 'lib[a-z0-9-]*-dev'); do
        grep -q "$package" "$file" || { echo "not in the Containerfile: $package" && return 1; }
    done
    [ "$(grep -c '^FROM ' "$file")" = 2 ] && grep -q -- '--cap-drop all' "$file"
}

# run CONFIG-LINE...: the role against local folders; the daemon itself is not started.
run() {
    printf '%s\n' "$@" >"$work/wanted.yaml"
    ansible-playbook -i localhost, -c local "$play" -e ansible_become=false \
        -e ansible_python_interpreter=/usr/bin/python3 -e netshared_manage_service=false \
        -e netshared_command="$build/daemon/netshared" -e netshared_config_file="$work/wanted.yaml" \
        -e netshared_config_path="$work/netshared.yaml"
}

role_ships_what_is_good() {
    run 'version: 1' 'routes:' '  - {to: 10.1.0.0/16, via: 192.0.2.2, dev: eth1}' &&
        cmp "$work/wanted.yaml" "$work/netshared.yaml" && run 'version: 1' \
        'routes:' '  - {to: 10.1.0.0/16, via: 192.0.2.2, dev: eth1}' | grep -q 'changed=0'
}

role_keeps_off_what_is_bad() {
    cp "$work/netshared.yaml" "$work/before"
    ! run 'version: 1' 'routes:' '  - {to: 10.1.0.1/16, via: 192.0.2.2}' >"$work/said" 2>&1 &&
        grep -q 'host bits set' "$work/said" && cmp "$work/before" "$work/netshared.yaml"
}

role_writes_from_variables() {
    ansible-playbook -i localhost, -c local "$play" -e ansible_become=false \
        -e ansible_python_interpreter=/usr/bin/python3 -e netshared_manage_service=false \
        -e netshared_command="$build/daemon/netshared" -e netshared_config_path="$work/other.yaml" \
        -e '{"netshared_config": {"version": 1, "settings": {"watch": true}}}' &&
        "$build/daemon/netshared" check "$work/other.yaml" && grep -q 'watch: true' "$work/other.yaml"
}

with rpmspec "the RPM spec is parsed" spec_is_sound
with rpmspec "the RPM spec lists what is installed" spec_lists_all
with yamllint "the manifests are YAML" yamllint -d '{extends: relaxed, rules: {line-length: {max: 110}}}' \
    "$top/conf/deploy"
with python3 "the manifests say what they should" manifests_are_sound
with python3 "options in the manifests are known" words_are_known
with grep "the Containerfile installs what is needed" container_has_all
with ansible-lint "ansible-lint has nothing to say" ansible-lint --offline -q "$play"
with ansible-playbook "the role ships a good file, once" role_ships_what_is_good
with ansible-playbook "the role keeps off a bad file" role_keeps_off_what_is_bad
with ansible-playbook "the role writes the file from variables" role_writes_from_variables
finish
