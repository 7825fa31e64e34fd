//! A program that reads requests from files of JSON lines, `-` for standard input. It keeps the tables in
//! `service.db` and its checkpoints in `service.checkpoints`.
//!
//! ```sh
//! service requests.jsonl
//! tail -F requests.jsonl | service -
//! ```

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use telemetra::prelude::*;

/// Workers free memory that others have allocated: glibc's allocator takes a lock for that, this one does not.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let inputs: Vec<String> = std::env::args().skip(1).collect();
    if inputs.is_empty() {
        eprintln!("error: name the files to read, or - for standard input");
        return ExitCode::from(2);
    }
    match run(&inputs) {
        Ok(report) => {
            eprintln!("{} read, {} on time", report.fates.read, report.fates.on_time);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs to the end of the input, or until a request to stop: it then finishes what was read, and the next run
/// continues from there.
fn run(inputs: &[String]) -> anyhow::Result<Report> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // The first signal drains, the second stops at once.
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&stop))?;
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let sink = Sqlite::new("service.db");
    let running = telemetra_template::start(Lines::files(inputs), sink, Path::new("service.checkpoints"))?;
    while !running.is_finished() && !stop.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let report = if running.is_finished() { running.wait() } else { running.drain(Drain::KeepWindows) };
    Ok(report?)
}
