# shellcheck shell=bash disable=SC2154
# Redis: `redis-server`, in memory.

redis_find() {
    local program
    for program in redis-server redis-cli; do
        command -v "$program" >/dev/null || fail "there is no $program; install it by: scripts/services install redis"
    done
}

redis_prepare() {
    {
        echo "bind 127.0.0.1"
        echo "dir $dir"
        echo "daemonize no"
        if [ -n "$durable" ]; then
            printf '%s\n' "appendonly yes" "appendfsync always"
        else
            printf '%s\n' 'save ""' "appendonly no"
        fi
        if [ -n "$tls" ]; then
            printf '%s\n' "tls-ca-cert-file $dir/tls/ca.crt" "tls-auth-clients no" \
                "tls-cert-file $dir/tls/server.crt" "tls-key-file $dir/tls/server.key"
        fi
        local setting
        for setting in "${settings[@]}"; do echo "${setting%%=*} ${setting#*=}"; done
    } >"$dir/redis.conf"
}

redis_start() {
    if [ -n "$tls" ]; then
        launch redis-server "$dir/redis.conf" --port 0 --tls-port "$port"
    else
        launch redis-server "$dir/redis.conf" --port "$port"
    fi
}

redis_answers() {
    local secure=()
    [ -z "$tls" ] || secure=(--tls --cacert "$dir/tls/ca.crt")
    # NOAUTH is an answer too: a password is the test's affair.
    redis-cli -h 127.0.0.1 -p "$port" "${secure[@]}" ping 2>&1 | grep -qE '^(PONG|NOAUTH)'
}
