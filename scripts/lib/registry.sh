# shellcheck shell=bash disable=SC2154
# A schema registry: Apicurio Registry, whose API at /apis/ccompat/v7 is that of Confluent's. Its program is got once, from
# Maven Central. This is the newest line that runs on Java 17, as Kafka does; the next needs 21.

registry_version=2.6.13.Final
registry_home=${XDG_CACHE_HOME:-$HOME/.cache}/telemetra/registry-$registry_version

registry_find() {
    command -v java >/dev/null || fail "there is no Java for the registry; install it by: scripts/services install registry"
    [ -d "$registry_home" ] ||
        fail "Apicurio Registry $registry_version is not in $registry_home; install it by: scripts/services install registry"
}

registry_prepare() {
    mkdir -p "$dir/data"
}

registry_start() {
    local options setting
    # In a file, so that a registry that is started again has its schemas.
    options=(-Dquarkus.http.host=127.0.0.1 "-D%prod.quarkus.datasource.jdbc.url=jdbc:h2:file:$dir/data/registry"
        -D%prod.quarkus.datasource.jdbc.initial-size=1 -D%prod.quarkus.datasource.jdbc.min-size=1)
    if [ -n "$tls" ]; then
        options+=(-Dquarkus.http.insecure-requests=disabled "-Dquarkus.http.ssl-port=$port"
            "-Dquarkus.http.ssl.certificate.files=$dir/tls/server.crt"
            "-Dquarkus.http.ssl.certificate.key-files=$dir/tls/server.key")
    else
        options+=("-Dquarkus.http.port=$port")
    fi
    for setting in "${settings[@]}"; do options+=("-D$setting"); done
    launch java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 "${options[@]}" \
        -jar "$registry_home/apicurio-registry-app-$registry_version-runner.jar"
}

# It says so once it takes requests. The log of earlier starts does not count.
registry_answers() {
    tail -c "+$(($1 + 1))" "$dir/log" | grep -q 'Listening on:'
}

# Made beside its place and moved there last, so that what is there is whole.
install_registry() {
    local new="$registry_home.$$" log artifact=io.apicurio:apicurio-registry-app:$registry_version:tar.gz:all
    echo "getting Apicurio Registry $registry_version" >&2
    mkdir -p "$new"
    log=$(mvn -B -q "$copy_artifact" "-Dartifact=$artifact" "-DoutputDirectory=$new" 2>&1 &&
        tar -xzf "$new/apicurio-registry-app-$registry_version-all.tar.gz" -C "$new" 2>&1) || {
        rm -rf "$new"
        fail "Maven could not get the registry, from Maven Central or the mirror of ~/.m2/settings.xml:"$'\n'"$(tail -n 8 <<<"$log")"
    }
    rm "$new/apicurio-registry-app-$registry_version-all.tar.gz"
    mv -T "$new" "$registry_home" 2>/dev/null || rm -rf "$new"
}
