# shellcheck shell=bash disable=SC2154
# ClickHouse: `clickhouse-server`, as Debian has it or the newer one on the PATH. Besides `default`, who has no password,
# there is the user `me` with the password `pass:word`.

clickhouse_find() {
    command -v clickhouse-server >/dev/null ||
        fail "there is no clickhouse-server; install it by: scripts/services install clickhouse"
}

clickhouse_prepare() {
    mkdir -p "$dir/data"
    cat >"$dir/users.xml" <<END
<yandex>
  <profiles><default/></profiles>
  <quotas><default/></quotas>
  <users>
    <default>
      <password></password><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota>
    </default>
    <me>
      <password>pass:word</password><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota>
    </me>
  </users>
</yandex>
END
}

clickhouse_start() {
    local setting
    {
        echo "<yandex>"
        echo "<logger><level>warning</level><console>1</console></logger>"
        echo "<listen_host>127.0.0.1</listen_host><http_port>$port</http_port>"
        echo "<path>$dir/data/</path><tmp_path>$dir/data/tmp/</tmp_path>"
        echo "<users_config>$dir/users.xml</users_config>"
        echo "<default_profile>default</default_profile><default_database>default</default_database>"
        echo "<mark_cache_size>67108864</mark_cache_size>"
        for setting in "${settings[@]}"; do echo "<${setting%%=*}>${setting#*=}</${setting%%=*}>"; done
        echo "</yandex>"
    } >"$dir/config.xml"
    launch clickhouse-server --config-file="$dir/config.xml"
}

clickhouse_answers() {
    (
        exec 2>/dev/null 5<>"/dev/tcp/127.0.0.1/$port" || exit 1
        printf 'GET / HTTP/1.0\r\n\r\n' >&5
        grep -q '^Ok' <&5
    )
}
