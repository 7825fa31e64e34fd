//! Several servers: a cluster whose nodes hold the keys between them, and a master that sentinels choose.

use std::process::{Child, Command, Stdio};
use std::thread::sleep;

use telemetra_core::{Batch, ExternalError, Retry};

use super::common::{alert, device};
use super::model::{Held, all_names, expected, held, of_row, open_modelled};
use super::services::{Kind, Server};
use super::*;

const DEVICES: [&str; 8] = ["d1", "d2", "d3", "two words", "a}b{c", "", "x", "{y}"];

fn history(batches: u64) -> Vec<Batch> {
    let batch = |n: u64| {
        let mut changes: Vec<_> = DEVICES
            .iter()
            .enumerate()
            .filter(|(i, _)| !(n + *i as u64).is_multiple_of(3))
            .map(|(_, device)| readings(device, n, n, 0, Action::Upsert))
            .collect();
        changes.push(moment(DEVICES[n as usize % DEVICES.len()], n, 1, true, 0, Action::Upsert));
        let id = DEVICES[(n as usize * 3) % DEVICES.len()];
        changes.push(of_row(device(id, None, n as i64), 0, Action::Upsert));
        changes.push(of_row(alert(id, n, n as i64), 0, Action::Upsert));
        common::sort(&mut changes);
        common::batch(n, changes)
    };
    (0..batches).map(batch).collect()
}

/// Applies batches as a pipeline does, but not for ever.
fn persist(sink: &mut RedisSink, batches: &[Batch]) {
    let mut last: Option<ExternalError> = None;
    for _ in 0..300 {
        match sink.apply(batches) {
            Ok(()) => return,
            Err(error) => assert_eq!(error.retry(), Retry::Transient, "{error:?}"),
        }
        last = sink.apply(batches).err();
        if last.is_none() {
            return;
        }
        sleep(Duration::from_millis(50));
    }
    panic!("it does not recover: {last:?}");
}

fn modelled(server: RedisServer) -> RedisSink {
    super::model::modelled(server, "telemetra")
}

fn run_command(server: &Server, words: &[&str]) -> String {
    let mut command = redis::cmd(words[0]);
    words[1..].iter().for_each(|word| drop(command.arg(*word).clone()));
    let value: redis::Value = command.query(&mut connect(&server.url())).unwrap();
    redis::from_redis_value(value).unwrap_or_default()
}

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..600 {
        if is_so() {
            return;
        }
        sleep(Duration::from_millis(50));
    }
    panic!("{what} takes too long");
}

#[test]
fn the_nodes_of_a_cluster_hold_the_keys_between_them() {
    let rights = super::access::RIGHTS;
    let user = format!(
        "writer on >word ~telemetra:* resetchannels &telemetra:* -@all {rights} +cluster|slots +ping"
    );
    let start = || {
        let setup = Server::of(Kind::Redis).set("cluster-enabled", "yes").set("cluster-node-timeout", "1000");
        setup.set("user", &user).start()
    };
    let mut nodes = [start(), start()];
    run_command(&nodes[0], &["CLUSTER", "ADDSLOTSRANGE", "0", "8191"]);
    run_command(&nodes[1], &["CLUSTER", "ADDSLOTSRANGE", "8192", "16383"]);
    run_command(&nodes[0], &["CLUSTER", "MEET", "127.0.0.1", &nodes[1].port().to_string()]);
    let ready = |nodes: &[Server; 2]| {
        nodes.iter().all(|node| {
            let info = run_command(node, &["CLUSTER", "INFO"]);
            info.contains("cluster_state:ok") && info.contains("cluster_size:2")
        })
    };
    wait_for("the cluster", || ready(&nodes));
    let all = |nodes: &[Server; 2]| -> Held {
        nodes.iter().flat_map(|node| held(&mut connect(&node.url()), "telemetra")).collect()
    };
    let history = history(12);
    let keys = all_names("telemetra");
    let mut sink = modelled(RedisServer::cluster([nodes[0].url().replace("//", "//writer:word@")]));
    let wrong = RedisServer::cluster([nodes[0].url().replace("//", "//writer:wrong@")]);
    assert_eq!(open(&mut at(wrong, "telemetra"), None).unwrap_err().retry(), Retry::Permanent);
    open_modelled(&mut sink, None);
    for (n, batch) in history.iter().enumerate() {
        // Each node in turn loses all it had, also the one that holds the progress.
        if n % 4 == 3 {
            let node = &mut nodes[n / 4 % 2];
            node.kill();
            node.start_again();
            wait_for("the cluster", || ready(&nodes));
        }
        persist(&mut sink, std::slice::from_ref(batch));
        assert_eq!(all(&nodes), expected(&keys, &history[..=n]), "after batch {n}");
    }
    assert!(nodes.iter().all(|node| !held(&mut connect(&node.url()), "telemetra").is_empty()));
}

/// A process that ends with the test.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_master_that_sentinels_choose_is_written() {
    let server = || Server::of(Kind::Redis).set("repl-diskless-sync-delay", "0").start();
    let (mut master, replica) = (server(), server());
    run_command(&replica, &["REPLICAOF", "127.0.0.1", &master.port().to_string()]);
    wait_for("replication", || {
        run_command(&replica, &["INFO", "replication"]).contains("master_link_status:up")
    });
    // A port that a server has just had is free.
    let port = Server::redis().port();
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("sentinel.conf");
    let text = format!(
        "port {port}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {} 1\n\
         sentinel down-after-milliseconds main 300\nsentinel failover-timeout main 3000\n",
        master.port()
    );
    std::fs::write(&settings, text).unwrap();
    let mut command = Command::new("redis-server");
    command.arg(&settings).arg("--sentinel").stdout(Stdio::null()).stdin(Stdio::null());
    let _sentinel = Guard(command.spawn().unwrap());
    let url = format!("redis://127.0.0.1:{port}/");
    let sentinel = || redis::Client::open(url.as_str()).unwrap().get_connection();
    wait_for("the sentinel", || {
        sentinel().is_ok_and(|mut connection| {
            let replicas: Result<Vec<redis::Value>, _> =
                redis::cmd("SENTINEL").arg("REPLICAS").arg("main").query(&mut connection);
            replicas.is_ok_and(|replicas| replicas.len() == 1)
        })
    });
    let history = history(8);
    let place = RedisServer::sentinel(["redis://127.0.0.1:1/".to_owned(), url.clone()], "main");
    // In the database that the URL of the node names.
    let mut sink = modelled(place.node("redis://anywhere/1"));
    open_modelled(&mut sink, None);
    persist(&mut sink, &history[..4]);
    assert_eq!(
        held(&mut connect(&format!("{}1", master.url())), "telemetra"),
        expected(&all_names("telemetra"), &history[..4])
    );
    master.kill();
    persist(&mut sink, &history[4..]);
    assert_eq!(
        held(&mut connect(&format!("{}1", replica.url())), "telemetra"),
        expected(&all_names("telemetra"), &history)
    );
    let mut lost = at(RedisServer::sentinel([url.clone()], "other"), "telemetra");
    assert!(open(&mut lost, None).unwrap_err().to_string().contains("knows that master"));
}
