# shellcheck shell=bash disable=SC2154
# What is missing, by apt, Kafka and the schema registry from Maven Central, and packages of Python from PyPI. What is there is not
# asked for again.

have() {
    command -v "$1" >/dev/null
}

java_release() {
    java -version 2>&1 | sed -nE '1s/.*"([0-9]+).*/\1/p'
}

# Kafka's broker and the registry need 17. Where a package of that name is not there any more the default is newer.
missing_java() {
    if ! have java || [ "$(java_release)" -lt 17 ]; then
        if apt-cache show openjdk-17-jre-headless >/dev/null 2>&1; then
            echo openjdk-17-jre-headless
        else
            echo default-jre-headless
        fi
    fi
}

# The Debian packages that a part still needs.
missing_packages() {
    case $1 in
        postgres) postgres_programs >/dev/null || echo postgresql ;;
        redis) { have redis-server && have redis-cli; } || echo redis-server ;;
        kafka)
            missing_java
            [ -d "$kafka_home/template" ] || have mvn || echo maven
            ;;
        registry)
            missing_java
            [ -d "$registry_home" ] || have mvn || echo maven
            ;;
        kafka-tls)
            have openssl || echo openssl
            have pkg-config || echo pkg-config
            [ -e /usr/include/openssl/ssl.h ] || echo libssl-dev
            ;;
        faketime) compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' >/dev/null || echo libfaketime ;;
        clickhouse) have clickhouse-server || echo clickhouse-server ;;
        python) python_packages_ready || { have python3 && python3 -c 'import ensurepip' 2>/dev/null; } || echo python3-venv ;;
        *) fail "there is no part $1; there are ${kinds[*]} kafka-tls faketime python" ;;
    esac
}

install() {
    [ $# -gt 0 ] || set -- "${kinds[@]}" kafka-tls faketime python
    have setpriv || fail "there is no setpriv; it comes with util-linux"
    local part packages=() found
    for part in "$@"; do
        found=$(missing_packages "$part") || exit 1
        mapfile -t -O "${#packages[@]}" packages < <(printf '%s' "${found:+$found$'\n'}")
    done
    # Two parts may need one package.
    mapfile -t packages < <(printf '%s\n' "${packages[@]}" | sort -u | sed '/^$/d')
    [ ${#packages[@]} = 0 ] || apt_install "${packages[@]}"
    [[ " $* " != *" python "* ]] || python_packages_ready || install_python
    [[ " $* " != *" kafka "* ]] || [ -d "$kafka_home/template" ] || install_kafka
    [[ " $* " != *" registry "* ]] || [ -d "$registry_home" ] || install_registry
}

apt_install() {
    have apt-get || fail "$* must be installed, and there is no apt-get; install what corresponds to them yourself"
    local root=() guard=/usr/sbin/policy-rc.d guarded='' log
    if [ "$(id -u)" != 0 ]; then
        have sudo || fail "$* must be installed; run as root: apt-get install $*"
        root=(sudo)
    fi
    # Debian starts the services it installs, on the ports that a person's own may have.
    if [ ! -e $guard ]; then
        printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee $guard >/dev/null
        "${root[@]}" chmod +x $guard
        guarded=1
    fi
    log=$(mktemp)
    echo "installing $*" >&2
    local apt=("${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qy --no-install-recommends)
    # Lists may be there and good; fetching them takes longer than most of the rest.
    if ! "${apt[@]}" install "$@" >"$log" 2>&1; then
        { "${apt[@]}" update && "${apt[@]}" install "$@"; } >"$log" 2>&1 || {
            [ -z "$guarded" ] || "${root[@]}" rm -f $guard
            fail "apt-get could not install $*:"$'\n'"$(tail -n 8 "$log")"
        }
    fi
    [ -z "$guarded" ] || "${root[@]}" rm -f $guard
    rm -f "$log"
}

copy_artifact=org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy
copy_dependencies=org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies

# All is made beside its place and moved there last, so that what is there is whole, also if two do this at once.
install_kafka() {
    local new="$kafka_home.$$" log
    echo "getting Apache Kafka $kafka_version" >&2
    mkdir -p "$new"
    log=$(mvn -B -q -f "$here/kafka/pom.xml" "$copy_dependencies" -DincludeScope=runtime \
        "-DoutputDirectory=$new/lib" 2>&1) || {
        rm -rf "$new"
        fail "Maven could not get Kafka's jars, from Maven Central or the mirror of ~/.m2/settings.xml:"$'\n'"$(tail -n 8 <<<"$log")"
    }
    { kafka_settings PLAINTEXT && kafka_listeners 9092 9093 "$new/data"; } >"$new/format.properties"
    kafka_command "$new"
    log=$("${kafka[@]}" kafka.tools.StorageTool format -t "$("${kafka[@]}" kafka.tools.StorageTool random-uuid)" \
        -c "$new/format.properties" 2>&1) || {
        rm -rf "$new"
        fail "Kafka could not format a folder:"$'\n'"$(tail -n 8 <<<"$log")"
    }
    mv "$new/data" "$new/template"
    rm "$new/format.properties"
    mv -T "$new" "$kafka_home" 2>/dev/null || rm -rf "$new"
    archive_classes
}

# The archive names the folder of the jars, so it is made when they are in place: by the classes that one run uses.
archive_classes() {
    local run archive="$kafka_home/classes.$$" holder
    run=$(mktemp -d)
    mkfifo "$run/owner"
    KAFKA_OPTS="-XX:TieredStopAtLevel=1 -XX:ArchiveClassesAtExit=$archive" \
        "$here/services" run kafka "$run/kafka" <"$run/owner" >"$run/ready" 2>/dev/null &
    holder=$!
    exec 4>"$run/owner"
    while kill -0 "$holder" 2>/dev/null && [ ! -s "$run/ready" ]; do sleep 0.1; done
    exec 4>&-
    wait "$holder" || true
    # Without it the broker starts too, only not as fast.
    [ ! -e "$archive" ] || mv "$archive" "$kafka_home/classes.jsa"
    rm -rf "$run"
}
