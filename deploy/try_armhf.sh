#!/bin/sh
# Runs `check` from the armv7l bundle on an emulated 32-bit ARM Debian, against the simulated devices on loopback.
#
# `make try-armhf` runs it; it is no part of the tests. Debian 12 has Python 3.11, so the bundle is built for that.
# Needs root, debootstrap, qemu-user-static and Debian's archive. The root is only unpacked, never configured, and every
# program is handed to qemu by name: the kernel needs no binfmt_misc, and nothing outside a temporary folder is touched.
set -eu
suite=bookworm
python=${PYTHON:-python3}
here=$(cd "$(dirname "$0")" && pwd -P)

die() {
    echo "try_armhf.sh: $*" >&2
    exit 1
}
say() {
    echo "== $*"
}
[ "$(id -u)" = 0 ] || die "debootstrap and chroot need root: run it with sudo"
for program in debootstrap qemu-arm-static dpkg-deb; do
    command -v $program >/dev/null || die "$program is missing: apt-get install debootstrap qemu-user-static"
done

work=$(mktemp -d)
plant=
trap '[ -z "$plant" ] || kill "$plant" 2>/dev/null; rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
root=$work/root

say "unpacking Debian $suite for armhf"
debootstrap --arch=armhf --foreign --variant=minbase --include=python3 "$suite" "$root" >"$work/log" 2>&1 || {
    tail -n 5 "$work/log" >&2
    die "debootstrap failed: see above"
}
for package in "$root"/var/cache/apt/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -C "$root" -x --keep-directory-symlink
done
cp "$(command -v qemu-arm-static)" "$root/usr/bin/"
emulated() {
    chroot "$root" /usr/bin/qemu-arm-static -E PYTHONPATH=/data/app -E PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 "$@"
}
emulated -c 'import os, sys; print("Python", sys.version.split()[0], "on", os.uname().machine)'

say "building the bundle for it and asking it what install.sh asks"
bundle=$("$python" "$here/build.py" --arch armv7l --python 3.11 --out "$work")
mkdir "$root/data"
tar -C "$root/data" --strip-components=1 -xzf "$bundle"
share=/data/app/share/opendtu-dcload
emulated $share/tree.py fits /data/app
emulated $share/tree.py imports /data/app
echo "all of it can be imported"

say "opendtu-dcload --version"
emulated -m opendtu_dcload --version

say "opendtu-dcload check"
"$python" -m opendtu_dcload.sim.demo.demo_plant --trace ukdale_h1_2013-04-13 --start 51840 >"$work/hosts" &
plant=$!
for _ in 1 2 3 4 5 6 7 8 9 10; do
    [ ! -s "$work/hosts" ] || break
    sleep 1
done
[ -s "$work/hosts" ] || die "the simulated devices do not come up"
"$python" - "$work/hosts" >"$root/data/config.toml" <<'EOF'
import json, sys
from opendtu_dcload.sim.demo.demo import config_text
hosts = json.load(open(sys.argv[1]))
print(config_text(hosts["meter"], hosts["dtu"], has_bus=False))
EOF
emulated -m opendtu_dcload check --config /data/config.toml
