#!/bin/sh
# Installs opendtu-dcload, or updates it, from a release: on a Victron GX, or on a Debian with systemd.
#
#     sh get.sh [FROM [CONFIG]]
#
# FROM is the address or the folder of the release. On a GX the file CONFIG becomes the configuration, unless somebody has
# filled in one there. Everything is fetched into a temporary folder and compared with its checksum first.
set -eu
name=opendtu-dcload
home=/opt/$name

die() {
    echo "$name: $*" >&2
    exit 1
}

fetch() { # a file of the release
    case $from in
    /* | .*) cp "$from/$1" "$work/$1" || die "$1 cannot be copied from $from" ;;
    *)
        curl -fsSL --connect-timeout 30 --speed-time 60 --speed-limit 100 -o "$work/$1" "$from/$1" ||
            die "$1 cannot be fetched from $from: see above, and run this again"
        ;;
    esac
}

# Fetches the one file of the release that the pattern fits; its name is then in $file.
fetch_checked() { # pattern, for whom it is
    fetch SHA256SUMS
    file=$(sed -n "s/^[0-9a-f]\{64\}  \($1\)\$/\1/p" "$work/SHA256SUMS")
    [ -n "$file" ] || die "$from has nothing for $2"
    [ "$(echo "$file" | wc -l)" -eq 1 ] || die "$from has more than one version: take a folder with one release in it"
    [ ! -t 1 ] || echo "fetching $file"
    fetch "$file"
    # Python, because not every busybox has sha256sum
    python3 -c 'import hashlib, sys
found = hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest()
sys.exit(f"{found}  {sys.argv[2]}" not in open(sys.argv[3]).read().splitlines())' \
        "$work/$file" "$file" "$work/SHA256SUMS" || die "$file is damaged (its checksum is another): run this again"
}

on_gx() {
    # a 64-bit kernel may run 32-bit programs
    machine=$(python3 -c 'import os, sys
machine = os.uname().machine
print("armv7l" if machine == "armv8l" or machine == "aarch64" and sys.maxsize < 2**32 else machine)')
    fetch_checked "$name-[^/]*-gx-$machine\.tar\.gz" "the processor $machine of this GX"
    tar -xzf "$work/$file" -C "$work" || die "$file cannot be unpacked into $work: see above"
    sh "$work/${file%.tar.gz}/app/share/$name/install.sh" ${config:+"$config"}
}

on_debian() {
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || die "$(python3 -V) is too old: 3.11 is needed"
    python3 -c 'import ensurepip' 2>/dev/null || die "Python's venv is missing: apt-get install python3-venv, run this again"
    fetch_checked 'opendtu_dcload-[^/]*\.whl' "Python"
    [ ! -e $home ] || [ -e $home/pyvenv.cfg ] || die "$home is there already and not ours: move it away"
    python3 -m venv $home
    $home/bin/python -m pip --quiet --disable-pip-version-check install "$work/$file[mqtt]" || die "pip failed: see above"
    ln -sfn $home/bin/$name /usr/local/bin/$name
    $home/bin/$name install-service
}

# All of it is read before anything is done: a download that breaks off does nothing.
main() {
    from=${1:-@BASE_URL@}
    config=${2-}
    umask 022
    [ "$(id -u)" = 0 ] || die "run this as root"
    command -v python3 >/dev/null || die "there is no python3"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' HUP INT TERM
    if [ -e /opt/victronenergy/version ]; then
        on_gx
    elif [ -d /run/systemd/system ]; then
        on_debian
    else
        die "this is neither Venus OS nor a Linux with systemd: the manual has the way for others"
    fi
}
main "$@"
