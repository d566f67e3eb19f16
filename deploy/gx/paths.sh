# Read by the other scripts: where things are on a GX, and what more than one of them does.

name=opendtu-dcload
base=/data/$name
service=/service/$name
run=/run/$name
log=/var/log/$name
boot=/data/rc.local
[ ! -L "$boot" ] || boot=$(readlink -f "$boot")

die() {
    is_told=yes
    echo "$name: $*" >&2
    exit 1
}

# Tells somebody at a terminal what takes its time.
progress() {
    [ ! -t 1 ] || echo "$*"
}

# Makes what comes on stdin the content of a file: whole or not at all, also on a full disk or when the power goes.
put() { # file, mode if there is none yet
    rm -rf "$1.new"
    [ ! -L "$1" ] || rm -f "$1"
    if [ -e "$1" ]; then
        cp -p "$1" "$1.new"
    else
        (umask 077 && : >"$1.new")
        chmod "$2" "$1.new"
    fi
    cat >"$1.new" # unlike busybox' awk and grep it says when the disk is full
    sync
    mv "$1.new" "$1"
}

# Run at the end, whatever the end is.
clean_up() {
    code=$?
    trap '' HUP INT TERM
    rm -rf "$boot.new" "$base"/*.new "$base"/service/*.new "$base"/service/log/*.new "$base/versions/.new"
    [ "$code" = 0 ] || [ -n "${is_told-}" ] || echo "$name: ended half-way: run it again, after what stands above" >&2
    exit "$code"
}

last_log_lines() { # how many, at most since it was started last
    awk '/INFO opendtu-dcload [^ ]*: Python / {lines = ""} {lines = lines $0 "\n"} END {printf "%s", lines}' \
        "$log/current" 2>/dev/null | tail -n "$1" | if command -v tai64nlocal >/dev/null; then tai64nlocal; else cat; fi
}

version_of() { # a tree
    ls -d "$1"/opendtu_dcload-*.dist-info | sed 's/.*opendtu_dcload-\(.*\)\.dist-info/\1/'
}

# Waits for "$@" to succeed, up to 15 s.
await() {
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
        ! "$@" || return 0
        sleep 1
    done
    return 1
}

is_down() {
    svstat "$1" | grep -q ': down'
}

# Starts the program anew, or for the first time: the supervisor looks for new services every five seconds.
restart() {
    if svok "$service"; then
        svc -d "$service"
        await is_down "$service" || echo "$name: it does not end" >&2
        rm -f "$run/started" "$run/health"
        svc -u "$service"
    else
        rm -f "$run/started" "$run/health"
        await svok "$service" || echo "$name: no supervisor starts $service" >&2
    fi
}

# Waits until one process of version $1 has given signs of life for 5 s; at most for $2 s. Else $why says why not.
healthy() {
    first=0
    pid=
    second=0
    while [ "$second" -lt "$2" ]; do
        sleep 1
        second=$((second + 1))
        read -r word _ now version _ 2>/dev/null <"$run/health" || word=none
        case $word in
        ok)
            [ "$version" = "$1" ] || continue
            [ "$now" = "$pid" ] || first=$second
            pid=$now
            [ $((second - first)) -lt 5 ] || return 0
            ;;
        ended)
            why="it ended within seconds of its start"
            return 1
            ;;
        esac
    done
    why="it gave no sign of life for $2 s"
    return 1
}
