//! A service with everything in it: events, a pipeline, an API over HTTP and WebSocket, and a dashboard.
//!
//! ```sh
//! cargo run --release --example api
//! cargo run --release --example api -- --help
//! ```
//!
//! The library's part is in `pipeline.rs`; `server/` is what a service has around it.

#[path = "../common/mod.rs"]
mod common;
mod demo;
mod pipeline;
mod server;
mod settings;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use telemetra::http::serve;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::Layer as _;

use common::log;
use common::otlp::Otlp;
use common::screen::{ProgressLine, tell, width, wrapped};
use common::settings::variable;
use common::show::{count, print};
use server::app::{App, app};
use server::log_tail::LogTail;
use server::observe::Recorder;
use settings::{Settings, TABLE};

/// Workers free memory that others have allocated: glibc's allocator takes a lock for that, this one does not.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    TABLE.main(settings::read(std::env::args_os().skip(1), variable), |given| {
        if !given.settings.quiet {
            given.tell_notes();
        }
        start(&given.settings).map(|()| ExitCode::SUCCESS)
    })
}

fn start(settings: &Settings) -> Result<()> {
    let _otlp = start_log(settings);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.context("could not start the threads of the service")?.block_on(run(settings))
}

async fn run(settings: &Settings) -> Result<()> {
    let (host, port) = (settings.host.as_str(), settings.port);
    let listener = TcpListener::bind((host, port)).await.with_context(|| {
        format!("could not listen on {host}:{port}; check --host, stop what listens there, or choose another --port")
    })?;
    let address = listener.local_addr().context("could not find out where the service listens")?;
    let (stop, stopping) = watch::channel(false);
    listen(stop, settings.quiet)?;

    // Before the pipeline, so that it finds where its metrics go.
    Recorder::shared();
    let answers = pipeline::open(settings)?;
    let options = settings.options();
    let limits = options.limits.clone();
    let service = App::new(Arc::clone(&answers.store), options, stopping.clone());
    if settings.quiet {
        print(&format!("http://{address}/"))?;
    } else {
        print(&format!(
            "dashboard  http://{address}/\nAPI        http://{address}/docs\n{}\nCtrl-C stops it",
            wrapped(settings.told().trim_end(), width(&std::io::stdout()), 2)
        ))?;
    }
    serve(listener, app(service), limits, stopping).await.context("could not go on serving")?;

    let Some(embedded) = answers.embedded.clone() else { return Ok(()) };
    // What was read is finished before the folder goes.
    let stopped = tokio::task::spawn_blocking(move || embedded.stop()).await;
    let report = stopped.context("the pipeline could not be stopped")??.filter(|_| !settings.quiet);
    if let Some(report) = report {
        print(&format!("stopped; {} read", count(report.fates.read, "event")))?;
    }
    Ok(())
}

/// The time limit for the process after the order to stop. Containers are killed after 10 seconds.
const LONGEST: Duration = Duration::from_millis(9_500);

/// Stops the service at the first order, and the process at the second, or if it takes too long.
fn listen(stop: watch::Sender<bool>, quiet: bool) -> Result<()> {
    let failed = "could not listen for the order to stop";
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt()).context(failed)?, signal(SignalKind::terminate()).context(failed)?);
    tokio::spawn(async move {
        loop {
            let code;
            tokio::select! {
                _ = interrupt.recv() => code = 130,
                _ = terminate.recv() => code = 143,
            }
            if stop.send_replace(true) {
                std::process::exit(code);
            }
            if !quiet {
                tell("stopping; a second Ctrl-C or SIGTERM stops at once");
            }
            tokio::spawn(async move {
                tokio::time::sleep(LONGEST).await;
                tell(&format!("the service did not stop within {LONGEST:?} and was ended"));
                std::process::exit(code);
            });
        }
    });
    Ok(())
}

/// Starts the log, and its newest lines for the operations page.
fn start_log(settings: &Settings) -> Option<Otlp> {
    let tail = LogTail::shared();
    tail.hide(settings.secrets());
    let tail = tail.layer().with_filter(LevelFilter::INFO);
    log::start_with("api", settings.log_level, settings.log_format, &ProgressLine::new(true), Some(tail))
}
