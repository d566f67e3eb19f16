#!/bin/sh
# Venus OS runs this after it has unpacked the stick's archive over /data, at each boot while the stick is plugged in.
# The installer waits for the supervisor, which starts later, because it looks whether a new version runs.
folder=/data/opendtu-dcload-stick
said=/run/opendtu-dcload-stick.txt

tell() { # what happened, for who has no terminal; the stick may be gone or read-only
    cat "$said"
    [ -z "$stick" ] || cp "$said" "$stick/opendtu-dcload.txt"
}

find_stick() {
    stick=
    for archive in /media/*/venus-data*; do
        [ ! -e "$archive" ] || stick=${archive%/*}
    done
    config=
    [ ! -f "$stick/config.toml" ] || config=$stick/config.toml
}

install() {
    waited_s=0
    until pidof svscan >/dev/null || [ "$waited_s" -ge 300 ]; do
        sleep 1
        waited_s=$((waited_s + 1))
    done
    find_stick
    sh $folder/get.sh $folder ${config:+"$config"} >$said 2>&1
    rm -rf $folder
    tell
}

if [ "${1-success}" = success ]; then
    install >/dev/null 2>&1 </dev/null &
else
    rm -rf $folder
    find_stick
    echo "opendtu-dcload: the archive cannot be unpacked over /data ($1): is /data full, or the file damaged?" >$said
    tell
fi
