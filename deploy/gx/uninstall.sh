#!/bin/sh
# Takes opendtu-dcload off a GX. Its configuration stays.
set -eu
share=$(cd "$(dirname "$(readlink -f "$0")")" && pwd -P)
. "$share/paths.sh"

trap clean_up EXIT
trap 'exit 1' HUP INT TERM

is_gone() {
    ! svok "$1"
}
# While the link is there the supervisor would start it anew. It takes up to 5 s to leave the inverters in order; only
# then its log may go.
rm -f "$service"
! svok "$base/service" || progress "stopping $name, which leaves the inverters in order first"
for part in "$base/service" "$base/service/log"; do
    svok "$part" || continue
    svc -dx "$part" || true
    await is_gone "$part" || echo "$name: it does not end" >&2
done

# What a second run can do without goes first: /data may be full.
cd "$base"
current=$(readlink current || true)
for version in versions/*; do
    [ "$version" = "$current" ] || rm -rf "$version"
done
[ ! -d versions ] || find versions -name __pycache__ -prune -exec rm -rf {} \;
rm -rf service "$run"
if [ -e "$boot" ] && grep -q "# $name\$" "$boot"; then
    left=$(awk -v mark="# $name\$" '$0 !~ mark' "$boot" && echo .)
    printf %s "${left%.}" | put "$boot"
fi
rm -f previous "$name" restart.sh status
rm -rf versions current uninstall.sh
echo "$name is uninstalled. What stays: the settings in $base and the log in $log"
