#!/bin/sh
# Takes opendtu-dcload off a GX. Its configuration stays.
set -eu
share=$(cd "$(dirname "$(readlink -f "$0")")" && pwd -P)
. "$share/paths.sh"

is_gone() {
    ! svok "$1"
}
if [ -e "$service" ]; then
    # While the link is there the supervisor would start it anew. It takes up to 5 s to leave the inverters in order;
    # only then its log may go.
    rm -f "$service"
    for part in "$base/service" "$base/service/log"; do
        svc -dx "$part" || true
        await is_gone "$part" || echo "$name: it does not end" >&2
    done
fi
if [ -e "$boot" ] && grep -q "# $name\$" "$boot"; then
    cp -p "$boot" "$boot.new"
    grep -v "# $name\$" "$boot" >"$boot.new" || true
    mv "$boot.new" "$boot"
fi
rm -rf "$base/service" "$base/versions" "$run"
rm -f "$base/current" "$base/$name" "$base/restart.sh" "$base/status" "$base/uninstall.sh"
echo "$name is uninstalled. What stays: the settings in $base and the log in $log"
