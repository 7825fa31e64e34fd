//! Several processes on this machine: the first process starts the others and holds a pipe to each. It sends
//! the request to drain through the pipe; a closed pipe means that the first process has ended. Each other
//! process sends its progress back, line by line.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use telemetra::prelude::*;

use crate::common::usage::Usage;
use crate::standby::Standby;

/// The progress that one process reports.
#[derive(Copy, Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Share {
    pub(crate) fates: Fates,
    /// The part of these fates that was read before a restart.
    pub(crate) before: Fates,
    pub(crate) usage: Usage,
    /// Whether the process has reached its end.
    pub(crate) done: bool,
}

/// The other processes, from the view of the first one.
#[derive(Default)]
pub(crate) struct Others {
    peers: Vec<Peer>,
    /// Set by a reader thread: a process ended that should not have.
    lost: Arc<AtomicBool>,
    /// Whether they were asked to take over.
    take_over: bool,
}

struct Peer {
    child: Child,
    orders: ChildStdin,
    share: Arc<Mutex<Share>>,
    reader: Option<JoinHandle<()>>,
}

const DRAIN: &[u8] = b"drain\n";
const TAKE_OVER: &[u8] = b"take over\n";

impl Others {
    /// Starts the other processes with the arguments of this one, and with the servers of its embedded Kafka.
    pub(crate) fn start(addresses: &[String], embedded: Option<&str>) -> Result<Self> {
        let program = std::env::current_exe().context("could not find the program to start again")?;
        let mut others = Self::default();
        for process in 1..addresses.len() {
            let mut command = Command::new(&program);
            command.args(std::env::args_os().skip(1));
            command.args(["--process", &process.to_string(), "--addresses", &addresses.join(",")]);
            command.args(["--assist", "yes"]);
            command.args(embedded.iter().flat_map(|servers| ["--embedded-servers", servers]));
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
            // Ctrl-C is for the first process, which sends a request to the others.
            #[cfg(unix)]
            std::os::unix::process::CommandExt::process_group(&mut command, 0);
            let mut child = command.spawn().with_context(|| format!("could not start process {process}"))?;
            let (Some(orders), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
                bail!("could not talk to process {process}");
            };
            let share = Arc::<Mutex<Share>>::default();
            let (shared, lost) = (Arc::clone(&share), Arc::clone(&others.lost));
            let reader = std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if let Ok(news) = serde_json::from_str(&line) {
                        *shared.lock().unwrap_or_else(PoisonError::into_inner) = news;
                    }
                }
                if !shared.lock().unwrap_or_else(PoisonError::into_inner).done {
                    lost.store(true, Ordering::Release);
                }
            });
            others.peers.push(Peer { child, orders, share, reader: Some(reader) });
        }
        Ok(others)
    }

    /// The sums over the other processes.
    pub(crate) fn share(&self) -> Share {
        let mut sum = Share::default();
        for peer in &self.peers {
            let share = *peer.share.lock().unwrap_or_else(PoisonError::into_inner);
            sum.fates += share.fates;
            sum.before += share.before;
            sum.usage += share.usage;
        }
        sum
    }

    /// Asks the other processes to drain.
    pub(crate) fn drain(&mut self) {
        self.tell(DRAIN);
    }

    /// Asks the other processes to take over as well, once this one was told to.
    pub(crate) fn take_over(&mut self, standby: &Standby) {
        if !self.take_over && standby.is_ordered() {
            self.take_over = true;
            self.tell(TAKE_OVER);
        }
    }

    fn tell(&mut self, order: &[u8]) {
        for peer in &mut self.peers {
            // A process that has ended needs no request, and its reader reports the end.
            let _ = peer.orders.write_all(order).and_then(|()| peer.orders.flush());
        }
    }

    /// Ends this process when one of the others is lost: otherwise it would wait for that process for ever,
    /// even before it has begun.
    pub(crate) fn watch(&self) {
        let lost = Arc::clone(&self.lost);
        if self.peers.is_empty() {
            return;
        }
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(std::time::Duration::from_millis(20));
                if lost.load(Ordering::Acquire) {
                    eprintln!("error: another process of the cluster has ended; its own error is above");
                    std::process::exit(1);
                }
            }
        });
    }

    /// Waits for the other processes to end.
    pub(crate) fn join(mut self) -> Result<Share> {
        for peer in &mut self.peers {
            let status = peer.child.wait().context("could not wait for another process")?;
            if !status.success() {
                bail!("another process of the cluster ended with {status}");
            }
            if let Some(reader) = peer.reader.take() {
                // The thread only reads, and its input has ended.
                let _ = reader.join();
            }
        }
        Ok(self.share())
    }
}

/// Follows the requests of the process that started this one: sets `drain` or `take_over` on request, and ends this process
/// when the other has ended.
pub(crate) fn obey(drain: Arc<AtomicBool>, take_over: Arc<AtomicBool>) {
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if line.as_bytes() == DRAIN.trim_ascii_end() {
                drain.store(true, Ordering::Release);
            } else if line.as_bytes() == TAKE_OVER.trim_ascii_end() {
                take_over.store(true, Ordering::Release);
            }
        }
        std::process::exit(1);
    });
}

/// Sends the progress of this process to the one that started it.
pub(crate) fn tell(share: &Share) {
    if let Ok(line) = serde_json::to_string(share) {
        println!("{line}");
    }
}
