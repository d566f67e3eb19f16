#!/bin/sh
# Installs opendtu-dcload on a Victron GX, or updates it. Everything is in /data, nothing is downloaded.
set -eu
share=$(cd "$(dirname "$0")" && pwd -P)
tree=$(cd "$share/../.." && pwd -P)
. "$share/paths.sh"

# --- May it be installed here? Nothing is touched before all of this has been answered.

[ "$(id -u)" = 0 ] || die "run this as root"
venus=$(head -n 1 /opt/victronenergy/version 2>/dev/null) || die "this is no Venus OS: the README has the way for others"
echo "$venus" | awk -F '[v.~-]' '{exit !($2 * 1000 + $3 >= 3060)}' || die "Venus OS $venus is too old: update to v3.60"
[ -d /service ] || die "there is no /service: is this a GX?"
command -v python3 >/dev/null || die "there is no python3"
python3 -B "$share/tree.py" fits "$tree"
python3 -B "$share/tree.py" imports "$tree"
needed_kb=$(($(du -sk "$tree" | cut -f1) * 3 / 2 + 4096)) # half as much again for the bytecode
free_kb=$(df -Pk /data | awk 'END {print $4}')
[ "$free_kb" -ge "$needed_kb" ] || die "/data has $((free_kb / 1024)) MB free, $((needed_kb / 1024)) MB are needed"
if svstat /service/dbus-opendtu 2>/dev/null | grep -q ': up'; then
    die "dbus-opendtu runs and would set the same inverters. Stop it with its own uninstall.sh, or until the next" \
        "reboot with: svc -d /service/dbus-opendtu"
fi
version=$(version_of "$tree")

# --- The new version beside the running one

old=$(readlink "$base/current" || true)
if [ -n "$old" ] && python3 -B "$share/tree.py" same "$tree" "$base/$old" 2>/dev/null; then
    new=$old
else
    new=versions/$version
    while [ -e "$base/$new" ]; do new=$new+; done
    rm -rf "$base/versions/.new"
    mkdir -p "$base/versions"
    cp -R "$tree" "$base/versions/.new"
    python3 "$base/versions/.new/share/$name/tree.py" imports "$base/versions/.new"
    sync
    mv "$base/versions/.new" "$base/$new"
fi
share=$base/$new/share/$name

# --- What stays the same from version to version

keys() {
    awk '/^#?\[/ {gsub(/[][#]/, "", $1); section = $1} /^#?[a-z_]+ *=/ {sub(/^#/, ""); print section "." $1}' "$1"
}
if [ ! -e "$base/config.toml" ] || { [ -n "$old" ] && cmp -s "$base/$old/share/$name/config.toml" "$base/config.toml"; }; then
    (umask 077 && cp "$share/config.toml" "$base/config.toml") # anew also while nobody has filled it in
elif [ -n "$old" ] && [ "$new" != "$old" ]; then
    keys "$base/$old/share/$name/config.toml" >"$base/known.new"
    added=$(keys "$share/config.toml" | grep -vxFf "$base/known.new" || true)
    rm -f "$base/known.new"
    [ -z "$added" ] || echo "New settings, explained in $share/config.toml:" $added
fi

place() { # file, where to; written only if it differs
    cmp -s "$1" "$2" && return
    cp "$1" "$2.new"
    chmod 755 "$2.new"
    mv "$2.new" "$2"
}
mkdir -p "$base/service/log"
place "$share/service/run" "$base/service/run"
place "$share/service/log/run" "$base/service/log/run"
for script in $name restart.sh status uninstall.sh; do
    [ -L "$base/$script" ] || ln -s "current/share/$name/$script" "$base/$script"
done

# /service is in RAM, so rc.local links it at each boot: first of all, as others may end or block the script.
line="ln -sfn $base/service $service # $name"
if [ ! -e "$boot" ]; then
    printf '#!/bin/sh\n%s\n' "$line" >"$boot.new"
    chmod 755 "$boot.new"
    mv "$boot.new" "$boot"
elif ! grep -qxF "$line" "$boot"; then
    cp -p "$boot" "$boot.new"
    awk -v line="$line" -v mark="# $name\$" '
        NR == 1 && /^#!/ {print; print line; next}
        NR == 1 {print line}
        $0 !~ mark {print}
        END {if (!NR) print line}' "$boot" >"$boot.new"
    mv "$boot.new" "$boot"
fi
[ -x "$boot" ] || echo "$boot is not executable, so nothing in it runs at boot: chmod 755 $boot" >&2

# --- The switch, by one rename

switch_to() {
    rm -f "$base/current.new"
    ln -s "$1" "$base/current.new"
    python3 -c 'import os, sys; os.replace(*sys.argv[1:])' "$base/current.new" "$base/current"
}
[ "$new" = "$old" ] || switch_to "$new"
[ "$(readlink "$service")" = "$base/service" ] || ln -sfn "$base/service" "$service"
! command -v svrescan >/dev/null || svrescan

if cmp -s "$share/config.toml" "$base/config.toml"; then
    echo "$name $version is installed. Fill in $base/config.toml, then run $base/restart.sh"
    exit 0
fi
[ "$new" = "$old" ] && grep -q '^ok' "$run/health" 2>/dev/null || restart
if healthy "$version" 60; then
    cd "$base/versions"
    for other in * .new; do
        [ "versions/$other" = "$new" ] || [ "versions/$other" = "$old" ] || rm -rf "$other"
    done
    echo "$name $version runs. Look at it with $base/status"
    exit 0
fi
echo "$name $version: $why. The last lines of its log:" >&2
last_log_lines 8 >&2
if [ -n "$old" ] && [ "$new" != "$old" ]; then
    went_back_to=$(version_of "$base/$old")
    switch_to "$old"
    restart
    healthy "$went_back_to" 60 || echo "$name: the old version does not run either: $why" >&2
    rm -rf "${base:?}/$new"
    die "went back to $went_back_to"
fi
die "correct what the log says, then run $base/restart.sh"
