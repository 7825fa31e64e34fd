//! A service that embeds a pipeline: its threads push events as they happen, and any part of it can read the
//! newest summaries, or subscribe to their changes. It needs no broker, no database and no encoding.
//!
//! ```sh
//! cargo run --release --example embed
//! ```

use std::panic::resume_unwind;
use std::sync::Barrier;
use std::time::Duration;

use anyhow::{Result, anyhow};
use telemetra::core::Action;
use telemetra::prelude::*;
use telemetra::sinks::{LiveReader, Notice, Subscription};

const START: EventTime = EventTime(1_767_225_600_000);
/// The number of minutes; in the last of them something is wrong in the first room.
const MINUTES: u64 = 14;
const ROOMS: [&str; 3] = ["kitchen", "garden", "attic"];

/// A request that the service answered in one room of a house.
#[derive(Clone, Debug)]
struct Request {
    room: &'static str,
    time: EventTime,
    failed: bool,
}

impl Event for Request {
    type Key = String;

    fn time(&self) -> EventTime {
        self.time
    }

    fn key(&self) -> &str {
        self.room
    }
}

/// The number of requests and of failures in a window.
type Counts = (u64, u64);

/// Starts a pipeline that reads the requests pushed into the handle and keeps the last hour in memory for the
/// reader.
fn start() -> Result<(Running, ChannelHandle<Request>, LiveReader<Counts>, Subscription)> {
    // When the channel is full, pushing waits: a service that cannot wait uses `try_push` or `push_async`.
    let (handle, source, decoder) = Channel::<Request>::typed("service", 10_000)?;
    let view = LiveView::<Counts>::new(hours(1));
    let (reader, changes) = (view.reader(), view.reader().subscribe(10_000));
    let running = Pipeline::<Request>::new()
        .source(source, decoder)
        .sink(view)
        .group("room_minute", sliding(minutes(1), seconds(10)), |a| {
            (a.count("requests"), a.count_if("failures", |request| request.failed))
        })
        .key_columns(["room"])
        .count_moments("failing", ZScore::new(3.0)?.min_value(10.0)?, |(_, failures)| *failures)
        .start()?;
    Ok((running, handle, reader, changes))
}

/// One thread of the service. Here the seconds are simulated; `seconds` keeps the threads in step, as the
/// clock would.
fn serve(room: &'static str, handle: &ChannelHandle<Request>, seconds: &Barrier) -> Result<()> {
    for second in 0..MINUTES * 60 {
        seconds.wait();
        let broken = room == ROOMS[0] && second >= (MINUTES - 1) * 60;
        for n in 0..2 + second % 2 {
            let failed = if broken { n > 0 } else { (second * 7 + n) % 50 == 0 };
            let request = Request { room, time: START.plus(second * 1000 + n), failed };
            handle.push(request).map_err(|error| anyhow!("the pipeline has ended: {error}"))?;
        }
    }
    Ok(())
}

/// Prints each moment when it is first published; ends with the pipeline.
fn announce(changes: &Subscription) -> Vec<Moment<String>> {
    let mut announced = Vec::new();
    while let Some(notice) = changes.recv() {
        let Notice::Changed(update) = notice else { continue };
        for change in
            update.changes.iter().filter(|change| change.action == Action::Upsert && change.revision == 0)
        {
            if let Some(moment) = change.row::<Moment<String>>() {
                println!("as of {}: {} in the {}", update.time, moment.moment_type, moment.key);
                announced.push(moment.clone());
            }
        }
    }
    announced
}

/// Runs the service; returns the moments that were announced, those open at its end, and the report.
fn run() -> Result<(Vec<Moment<String>>, Vec<Moment<String>>, Report)> {
    let (running, handle, reader, changes) = start()?;
    let announcer = std::thread::spawn(move || announce(&changes));
    let seconds = Barrier::new(ROOMS.len());
    std::thread::scope(|scope| {
        let serve = |room| serve(room, &handle, &seconds);
        let threads = ROOMS.map(|room| scope.spawn(move || serve(room)));
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })?;
    // The newest summaries are as of the last pane that ended ten seconds (the out-of-orderness) before the newest event.
    while reader.as_of() < Some(START.plus(MINUTES * 60_000 - 20_001)) && !running.is_finished() {
        std::thread::sleep(Duration::from_millis(5));
    }
    for (room, view) in reader.subjects_by(|view| view.latest().map(|(_, counts)| counts.0)) {
        if let Some((window, counts)) = view.latest() {
            println!("until {}: {} requests, {} failures in the {room}", window.end, counts.0, counts.1);
        }
    }
    let open = reader.open_moments();
    // The rest of the channel is read, all windows close, and subscriptions end.
    handle.close();
    let report = running.wait()?;
    Ok((announcer.join().unwrap_or_else(|panic| resume_unwind(panic)), open, report))
}

fn main() -> Result<()> {
    let (_, open, report) = run()?;
    println!("{} moments were open at the end; {} events were read", open.len(), report.fates.read);
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_failures_are_announced_and_open() -> anyhow::Result<()> {
        let (announced, open, report) = super::run()?;
        let failing =
            |moment: &super::Moment<String>| &*moment.moment_type == "failing" && moment.key == "kitchen";
        assert!(announced.iter().any(failing) && open.iter().any(failing), "{announced:?} {open:?}");
        assert_eq!(report.fates.on_time, report.fates.read);
        Ok(())
    }
}
