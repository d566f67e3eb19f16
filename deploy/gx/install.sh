#!/bin/sh
# Installs opendtu-dcload on a Victron GX, or updates it. Everything is in /data, nothing is downloaded.
#
#     install.sh [CONFIG]      the file CONFIG becomes config.toml, unless somebody has filled in that one
set -eu
given=${1-}
share=$(cd "$(dirname "$0")" && pwd -P)
tree=$(cd "$share/../.." && pwd -P)
. "$share/paths.sh"

version_behind() { # a link; nothing if it leads to none
    target=$(readlink "$1") && [ -d "$base/$target/share/$name" ] || target=
    case $target in versions/*) echo "$target" ;; esac
}
is_copied() {
    [ -d "$base/$new" ] && [ ! -L "$base/$new" ]
}
is_same() { # two trees
    python3 -B "$share/tree.py" same "$1" "$2" 2>/dev/null
}

# --- May it be installed here? Nothing is touched before all of this has been answered.

[ "$(id -u)" = 0 ] || die "run this as root"
venus=$(head -n 1 /opt/victronenergy/version 2>/dev/null) || die "this is no Venus OS: the README has the way for others"
echo "$venus" | awk -F '[v.~-]' '{exit !($2 * 1000 + $3 >= 3060)}' || die "Venus OS $venus is too old: update to v3.60"
[ -d /service ] || die "there is no /service: is this a GX?"
command -v python3 >/dev/null || die "there is no python3"
python3 -B "$share/tree.py" fits "$tree"
python3 -B "$share/tree.py" imports "$tree"
if svstat /service/dbus-opendtu 2>/dev/null | grep -q ': up'; then
    die "dbus-opendtu runs and would set the same inverters. Stop it with its own uninstall.sh, or until the next" \
        "reboot with: svc -d /service/dbus-opendtu"
fi
version=$(version_of "$tree")
for link in "$base/current" "$base/previous" "$base/$name" "$base/restart.sh" "$base/status" "$base/uninstall.sh" "$service"; do
    [ -L "$link" ] || [ ! -d "$link" ] || die "$link is a folder: move it away"
done

current=$(version_behind "$base/current")
old=$(version_behind "$base/previous") # of an update that nobody has seen the end of
[ -n "$old" ] || old=$current
new=$current
if [ -z "$current" ] || ! is_same "$tree" "$base/$current"; then
    new=versions/$version
    while is_copied && ! is_same "$tree" "$base/$new"; do new=$new+; done
fi
config=$base/config.toml
is_shipped() { # a tree that it came with
    cmp -s "$1/share/$name/config.toml" "$config"
}
is_untouched() {
    [ ! -L "$config" ] && { [ ! -e "$config" ] || is_shipped "$tree" || is_shipped "$base/$old"; }
}
if [ -n "$given" ] && is_untouched; then
    [ -f "$given" ] || die "there is no file $given"
    python3 -B "$share/tree.py" accepts "$tree" "$given"
fi
if ! is_copied; then
    rm -rf "$base/versions/.new"
    needed_kb=$(($(du -sk "$tree" | cut -f1) * 3 / 2 + 4096)) # half as much again for the bytecode
    free_kb=$(df -Pk /data | awk 'END {print $4}')
    [ "$free_kb" -ge "$needed_kb" ] || die "/data has $((free_kb / 1024)) MB free, $((needed_kb / 1024)) MB are needed"
fi

# --- The new version beside the running one

is_copied || progress "installing $name $version, which takes some minutes"

trap clean_up EXIT
trap 'exit 1' HUP INT TERM
if ! is_copied; then
    mkdir -p "$base/versions"
    cp -R "$tree" "$base/versions/.new"
    python3 "$base/versions/.new/share/$name/tree.py" imports "$base/versions/.new"
    sync
    rm -rf "${base:?}/$new" # a link or a file
    mv "$base/versions/.new" "$base/$new"
fi
share=$base/$new/share/$name

# --- What stays the same from version to version

keys() {
    awk '/^#?\[/ {gsub(/[][#]/, "", $1); section = $1} /^#?[a-z_]+ *=/ {sub(/^#/, ""); print section "." $1}' "$1"
}
if is_untouched; then
    put "$config" 600 <"${given:-$share/config.toml}" # anew also while nobody has filled it in
elif [ -n "$old" ] && [ "$new" != "$old" ]; then
    added=$(keys "$share/config.toml" | grep -vxF "$(keys "$base/$old/share/$name/config.toml")" || true)
    [ -z "$added" ] || echo "New settings, explained in $share/config.toml:" $added
fi

for folder in "$base/service" "$base/service/log"; do
    [ ! -L "$folder" ] || rm -f "$folder"
    mkdir -p "$folder"
done
for file in run log/run; do
    if [ -L "$base/service/$file" ] || ! cmp -s "$share/service/$file" "$base/service/$file"; then
        put "$base/service/$file" 755 <"$share/service/$file"
    fi
    chmod 755 "$base/service/$file"
done
point() { # a link, where to
    [ "$(readlink "$1")" = "$2" ] || ln -sfn "$2" "$1"
}
for script in $name restart.sh status uninstall.sh; do
    point "$base/$script" "current/share/$name/$script"
done

# /service is in RAM, so rc.local links it at each boot: first of all, as others may end or block the script.
line="ln -sfn $base/service $service # $name"
if [ ! -e "$boot" ]; then
    printf '#!/bin/sh\n%s\n' "$line" | put "$boot" 755
elif ! grep -qxF "$line" "$boot"; then
    whole=$(awk -v line="$line" -v mark="# $name\$" '
        NR == 1 && /^#!/ {print; print line; next}
        NR == 1 {print line}
        $0 !~ mark {print}
        END {if (!NR) print line}' "$boot" && echo .)
    printf %s "${whole%.}" | put "$boot"
fi
[ -x "$boot" ] || echo "$boot is not executable, so nothing in it runs at boot: chmod 755 $boot" >&2

# --- The switch, by one rename

switch_to() {
    rm -rf "$base/current.new"
    ln -s "$1" "$base/current.new"
    python3 -c 'import os, sys; os.replace(*sys.argv[1:])' "$base/current.new" "$base/current"
}
remove_older() {
    [ "$new" != "$old" ] || return 0
    for other in "$base"/versions/*; do
        [ "$other" = "$base/$new" ] || [ "$other" = "$base/$old" ] || rm -rf "$other"
    done
    rm -f "$base/previous"
}
if [ "$new" != "$current" ]; then
    [ -z "$old" ] || point "$base/previous" "$old"
    switch_to "$new"
fi
point "$service" "$base/service"
! command -v svrescan >/dev/null || svrescan

if is_shipped "$tree"; then
    remove_older
    echo "$name $version is installed. Next: $base/$name init"
    exit 0
fi
runs="runs"
if [ "$new" = "$current" ] && grep -q "^ok [0-9]* [0-9]* $version " "$run/health" 2>/dev/null; then
    runs="was installed already and runs on"
else
    progress "starting $name $version, half a minute or so"
    restart
fi
if healthy "$version" 60; then
    remove_older
    echo "$name $version $runs. Look at it with $base/status"
    exit 0
fi
echo "$name $version: $why. The last lines of its log:" >&2
last_log_lines 8 >&2
if [ -n "$old" ] && [ "$new" != "$old" ]; then
    went_back_to=$(version_of "$base/$old")
    switch_to "$old"
    restart
    healthy "$went_back_to" 60 || echo "$name: the old version does not run either: $why" >&2
    rm -rf "${base:?}/$new" "$base/previous"
    die "went back to $went_back_to"
fi
die "correct what the log says, then run $base/restart.sh"
