# shellcheck shell=bash disable=SC2154
# An object store with the API of S3: Versity's gateway over a folder, the one on the PATH or one that is built once, from
# the proxy of Go modules. There is a bucket `telemetra`, for the key `telemetra` with the secret `telemetra-secret`.

s3_version=v1.8.0
s3_home=${XDG_CACHE_HOME:-$HOME/.cache}/telemetra/versitygw-$s3_version

s3_program() {
    if [ -x "$s3_home/versitygw" ]; then
        echo "$s3_home/versitygw"
    else
        command -v versitygw
    fi
}

s3_find() {
    s3_program >/dev/null || fail "there is no versitygw; install it by: scripts/services install s3"
}

s3_prepare() {
    # A folder of the root is a bucket.
    mkdir -p "$dir/data/telemetra"
}

s3_start() {
    local options=(--port "127.0.0.1:$port" --health /health --quiet --region us-east-1)
    [ -z "$tls" ] || options+=(--cert "$dir/tls/server.crt" --key "$dir/tls/server.key")
    # Tags are attributes of the files, so that an object and its tag change as one.
    ROOT_ACCESS_KEY=telemetra ROOT_SECRET_KEY=telemetra-secret \
        launch "$(s3_program)" "${options[@]}" posix "$dir/data"
}

s3_answers() {
    local url="http://127.0.0.1:$port/health"
    [ -z "$tls" ] || url="https://127.0.0.1:$port/health"
    curl -fsk --max-time 1 -o "$dir/health" "$url" 2>/dev/null
}

# Made beside its place and moved there last, so that what is there is whole.
install_s3() {
    local new="$s3_home.$$" log
    have go || fail "versitygw is built by Go 1.25 or later, and there is none; get it from https://go.dev/dl, or put versitygw on the PATH"
    echo "building versitygw $s3_version" >&2
    mkdir -p "$new"
    log=$(GOBIN="$new" GOFLAGS='-buildvcs=false -trimpath' CGO_ENABLED=0 \
        go install -ldflags '-s -w' "github.com/versity/versitygw/cmd/versitygw@$s3_version" 2>&1) || {
        rm -rf "$new"
        fail "Go could not build versitygw, from the proxy of Go modules:"$'\n'"$(tail -n 8 <<<"$log")"
    }
    mv -T "$new" "$s3_home" 2>/dev/null || rm -rf "$new"
}
