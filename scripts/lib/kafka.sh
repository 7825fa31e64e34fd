# shellcheck shell=bash disable=SC2154
# Apache Kafka: one node that is broker and controller (KRaft). Its jars are got once, from Maven Central, and kept with a
# formatted folder and an archive of loaded classes: a start then takes one second instead of four.

kafka_version=$(sed -n 's:.*<kafka.version>\(.*\)</kafka.version>.*:\1:p' "$here/kafka/pom.xml")
kafka_home=${XDG_CACHE_HOME:-$HOME/.cache}/telemetra/kafka-$kafka_version

# Defines `kafka`: Java with the jars of a folder.
kafka_command() {
    local options
    read -ra options <<<"${KAFKA_OPTS--XX:TieredStopAtLevel=1}"
    # An archive of another Java's is passed over in silence.
    [ ! -e "$1/classes.jsa" ] || options+=("-XX:SharedArchiveFile=$1/classes.jsa")
    kafka=(java -Xms128m -Xmx512m -XX:+UseSerialGC -Xlog:disable -Xlog:all=error:stderr "${options[@]}"
        -Dorg.slf4j.simpleLogger.logFile=System.out -Dorg.slf4j.simpleLogger.showDateTime=true
        -Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS -cp "$1/lib/*")
}

kafka_find() {
    command -v java >/dev/null || fail "there is no Java for Kafka; install it by: scripts/services install kafka"
    [ -d "$kafka_home/template" ] ||
        fail "Kafka $kafka_version is not in $kafka_home; install it by: scripts/services install kafka"
}

# The file `server.properties`, but for what depends on the port.
kafka_settings() {
    cat <<END
process.roles=broker,controller
node.id=1
controller.listener.names=CONTROLLER
listener.security.protocol.map=CLIENTS:${1},CONTROLLER:PLAINTEXT
inter.broker.listener.name=CLIENTS
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
num.network.threads=2
num.io.threads=4
background.threads=2
log.cleaner.dedupe.buffer.size=4194304
END
}

kafka_listeners() {
    cat <<END
listeners=CLIENTS://127.0.0.1:$1,CONTROLLER://127.0.0.1:$2
advertised.listeners=CLIENTS://127.0.0.1:$1
controller.quorum.voters=1@127.0.0.1:$2
log.dirs=$3
END
}

kafka_prepare() {
    if [ ! -d "$dir/data" ]; then
        cp -r "$kafka_home/template" "$dir/data.new"
        mv "$dir/data.new" "$dir/data"
    fi
}

kafka_start() {
    local protocol=PLAINTEXT setting
    [ -z "$tls" ] || protocol=SSL
    {
        kafka_settings "$protocol"
        kafka_listeners "$port" "$(free_port)" "$dir/data"
        [ -z "$tls" ] || printf '%s\n' ssl.keystore.type=PEM "ssl.keystore.location=$dir/tls/server.pem" \
            ssl.truststore.type=PEM "ssl.truststore.location=$dir/tls/ca.crt"
        [ -z "$durable" ] || echo log.flush.interval.messages=1
        for setting in "${settings[@]}"; do echo "$setting"; done
    } >"$dir/server.properties"
    kafka_command "$kafka_home"
    # Compression unpacks a library into it, which a broker that is killed leaves there.
    mkdir -p "$dir/tmp"
    launch "${kafka[@]}" "-Djava.io.tmpdir=$dir/tmp" kafka.Kafka "$dir/server.properties"
}

# It says so once it takes requests. The log of earlier starts does not count.
kafka_answers() {
    tail -c "+$(($1 + 1))" "$dir/log" | grep -q 'Kafka Server started'
}
