#!/bin/sh
# Starts opendtu-dcload anew, as after a change of config.toml, and waits until it runs.
set -eu
share=$(cd "$(dirname "$(readlink -f "$0")")" && pwd -P)
. "$share/paths.sh"

[ -e "$service" ] || die "it is not installed as a service: run install.sh"
progress "starting $name, half a minute or so"
restart
version=$(version_of "$share/../..")
if healthy "$version" 60; then
    echo "$name $version runs"
else
    last_log_lines 8 >&2
    die "$why; the last lines of its log stand above"
fi
