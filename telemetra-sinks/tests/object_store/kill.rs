//! A process that is killed again and again: what it said is stored is there, whole, and nothing else.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use telemetra_core::checkpoint::CheckpointStore;

use crate::{Own, gateway, store};

/// The variable that names the server of the process that is killed.
const SERVER: &str = "TELEMETRA_TEST_OBJECTS_SERVER";
const ROUNDS: usize = 60;

fn blob(round: usize) -> Vec<u8> {
    let n = u8::try_from(round).unwrap();
    vec![n; 20_000]
}

/// The process that is killed, if this is it: goes on with the round after the last that is stored, as a pipeline does
/// with its checkpoints, and removes the one before.
#[test]
fn writer() {
    let Ok(server) = std::env::var(SERVER) else { return };
    let mut store = store(&gateway::config(&server, "checkpoints/of/one"));
    store.claim(0, 1).unwrap();
    println!("stored");
    let done = store.list().unwrap().iter().filter_map(|name| name.split('/').next()?.parse().ok()).max();
    let next = done.map_or(0, |done: usize| done + 1);
    for round in next..ROUNDS {
        store.put(&format!("{round:04}/part"), &blob(round)).unwrap();
        println!("{round} stored");
        if round > 0 {
            store.remove(&format!("{:04}/part", round - 1)).unwrap();
        }
    }
}

/// Starts the writer, and kills it after so many words. Returns the last round it stored, and whether it came to its end.
fn run(server: &str, words: usize) -> (Option<usize>, bool) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["kill::writer", "--exact", "--nocapture"])
        .env(SERVER, server)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let said: Vec<_> = lines.filter(|line| line.ends_with("stored")).take(words).collect();
    if said.len() == words {
        child.kill().unwrap();
    }
    let last = said.last().and_then(|line| line.split(' ').next()?.parse().ok());
    (last, child.wait().unwrap().success())
}

#[test]
fn killed_again_and_again_it_has_what_it_said_is_stored() {
    let own = Own::start();
    let (mut runs, mut last) = (0, None);
    loop {
        let (stored, ended) = run(&own.server.url(), 1 + runs * 3 % 7);
        last = stored.or(last);
        let mut reader = own.store();
        let names = reader.list().unwrap();
        let found: BTreeMap<usize, _> = names
            .iter()
            .map(|name| (name[..4].parse().unwrap(), reader.get(name).unwrap().unwrap()))
            .collect();
        for (round, found) in &found {
            assert!(*found == blob(*round), "the blob of round {round} is not what was put");
        }
        // It may have stored one more than it came to say.
        assert!(found.keys().max() >= last.as_ref(), "{last:?} is stored, and there are {names:?}");
        if ended {
            break;
        }
        runs += 1;
        assert!(runs < 200, "it does not come further");
    }
    assert!(runs >= 10, "it was killed {runs} times only");
    let mut store = own.store();
    store.claim(0, 1).unwrap();
    assert_eq!(own.blobs().len(), store.list().unwrap().len(), "objects are left");
}
