# shellcheck shell=bash disable=SC2154
# An OpenTelemetry Collector: it takes OTLP by HTTP, and says in its log all that it gets. It is built once, from the Go
# module proxy by `otelcol/go.mod`, which pins all versions, with the receiver and the exporter that tests need and no more.

otelcol_source=$here/lib/otelcol
otelcol_home=${XDG_CACHE_HOME:-$HOME/.cache}/telemetra/otelcol-$(cat "$otelcol_source"/{main.go,go.mod} | sha256sum | cut -c 1-16)

otelcol_find() {
    [ -x "$otelcol_home/otelcol" ] ||
        fail "there is no OpenTelemetry Collector in $otelcol_home; build it by: scripts/services install otelcol"
}

otelcol_prepare() {
    [ -z "$tls" ] || fail "the OpenTelemetry Collector is not started with TLS"
}

otelcol_start() {
    cat >"$dir/config.yaml" <<END
receivers:
  otlp:
    protocols:
      http:
        endpoint: 127.0.0.1:$port
exporters:
  debug:
    verbosity: detailed
    use_internal_logger: true
service:
  pipelines:
    traces:
      receivers: [otlp]
      exporters: [debug]
END
    launch "$otelcol_home/otelcol" --config "file:$dir/config.yaml"
}

# The log of earlier starts does not count.
otelcol_answers() {
    tail -c "+$(($1 + 1))" "$dir/log" | grep -q 'Everything is ready'
}

# Built beside its place and moved there last, so that what is there is whole. Other builds wait.
install_otelcol() {
    local new="$otelcol_home.$$" log
    echo "building an OpenTelemetry Collector" >&2
    mkdir -p "$new"
    log=$(cd "$otelcol_source" && CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w' -o "$new/otelcol" . 2>&1) || {
        rm -rf "$new"
        fail "Go could not build the collector from the module proxy:"$'\n'"$(tail -n 8 <<<"$log")"
    }
    mv -T "$new" "$otelcol_home" 2>/dev/null || rm -rf "$new"
}
