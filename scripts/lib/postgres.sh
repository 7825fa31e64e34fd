# shellcheck shell=bash disable=SC2154,SC2034
# Postgres: user and database `telemetra`, no password. It refuses to run as root, so then its folder is the user postgres's.

postgres_programs() {
    if command -v pg_config >/dev/null && [ -x "$(pg_config --bindir)/initdb" ]; then
        pg_config --bindir
    else
        local found=(/usr/lib/postgresql/*/bin/initdb)
        [ -x "${found[-1]}" ] && dirname "${found[-1]}"
    fi
}

postgres_find() {
    programs=$(postgres_programs) || fail "there is no Postgres; install it by: scripts/services install postgres"
    # Fast shutdown, and the immediate one, which takes its children with it.
    stop=INT discard=QUIT
    [ "$(id -u)" = 0 ] || return 0
    id postgres >/dev/null 2>&1 || fail "Postgres does not run as root, and there is no user postgres to run it as"
    as=(--reuid=postgres --regid=postgres --init-groups)
}

postgres_prepare() {
    if [ "$(id -u)" = 0 ]; then
        [ ! -d "$dir/tls" ] || chown -R postgres "$dir/tls"
        chown postgres "$dir"
        setpriv "${as[@]}" test -w "$dir" ||
            fail "the user postgres cannot reach $dir, for want of a right on a folder above it; use one in /tmp"
    fi
    [ -e "$dir/data/PG_VERSION" ] && return
    local log
    log=$(cd "$dir" && setpriv "${as[@]}" --pdeathsig KILL -- "$programs/initdb" -D "$dir/data" -U telemetra \
        --auth=trust -E UTF8 --locale=C --no-sync 2>&1) || fail "initdb failed in $dir: $log"
    # A database of the user's name is what clients look for.
    (cd "$dir" && echo 'CREATE DATABASE telemetra' |
        setpriv "${as[@]}" -- "$programs/postgres" --single -D "$dir/data" -c fsync=off postgres >/dev/null 2>&1)
}

postgres_start() {
    local flags=(-c listen_addresses=127.0.0.1 -c "unix_socket_directories=$dir") setting
    [ -n "$durable" ] || flags+=(-c fsync=off -c full_page_writes=off)
    [ -z "$tls" ] || flags+=(-c ssl=on -c "ssl_cert_file=$dir/tls/server.crt" -c "ssl_key_file=$dir/tls/server.key")
    for setting in "${settings[@]}"; do flags+=(-c "$setting"); done
    launch "$programs/postgres" -D "$dir/data" -p "$port" "${flags[@]}"
}

postgres_answers() {
    "$programs/pg_isready" -q -h 127.0.0.1 -p "$port"
}
