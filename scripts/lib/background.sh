# shellcheck shell=bash disable=SC2154
# The servers that `up` starts, and `down` stops: each in a folder of its own, beside what it said when it started.

home=${TELEMETRA_SERVICES:-/tmp/telemetra-services}

# Prints `PORT PID` of a server that runs, and of the script that holds it.
running() {
    local word port server holder
    read -r word port server 2>/dev/null <"$home/$1.ready" && [ "$word" = ready ] || return
    holder=$(cat "$home/$1.pid")
    tr '\0' ' ' 2>/dev/null <"/proc/$holder/cmdline" | grep -q "run $1 $home/$1" || return
    echo "$port $server $holder"
}

up() {
    mkdir -p "$home"
    chmod 755 "$home"
    local kind failed=''
    for kind in "${all[@]}"; do
        running "$kind" >/dev/null && continue
        rm -f "$home/$kind.ready"
        # The port of before, so that who knows it finds the server again.
        setsid "$here/services" run "$kind" "$home/$kind" "$(cat "$home/$kind.port" 2>/dev/null || echo 0)" --stay "$@" \
            </dev/null >"$home/$kind.ready" 2>"$home/$kind.error" &
        echo $! >"$home/$kind.pid"
    done
    for kind in "${all[@]}"; do
        until running "$kind" >/dev/null; do
            kill -0 "$(cat "$home/$kind.pid")" 2>/dev/null || break
            sleep 0.05
        done
        if running "$kind" >/dev/null; then
            running "$kind" | cut -d ' ' -f 1 >"$home/$kind.port"
        else
            cat "$home/$kind.error" >&2
            failed=1
        fi
    done
    [ -z "$failed" ] || exit 1
    variables
}

down() {
    local kind holder
    for kind in "${all[@]}"; do
        holder=$(running "$kind" | cut -d ' ' -f 3) || continue
        [ -n "$holder" ] || continue
        kill "$holder"
        while kill -0 "$holder" 2>/dev/null; do sleep 0.05; done
        rm -f "$home/$kind.ready" "$home/$kind.pid"
    done
}

variables() {
    local kind port
    for kind in "${all[@]}"; do
        port=$(running "$kind" | cut -d ' ' -f 1)
        [ -n "$port" ] || fail "$kind does not run in $home; start it by: scripts/services up"
        case $kind in
            postgres)
                printf 'export POSTGRES_HOST=127.0.0.1 POSTGRES_PORT=%s POSTGRES_USER=telemetra' "$port"
                printf ' POSTGRES_PASSWORD= POSTGRES_DB=telemetra\n'
                echo "export TELEMETRA_TEST_POSTGRES=postgres://telemetra@127.0.0.1:$port/telemetra"
                ;;
            redis)
                echo "export REDIS_URL=redis://127.0.0.1:$port/"
                echo "export TELEMETRA_TEST_REDIS=redis://127.0.0.1:$port/"
                ;;
            kafka)
                echo "export KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:$port"
                echo "export TELEMETRA_TEST_KAFKA=127.0.0.1:$port"
                ;;
        esac
    done
}
