//! A service with a pipeline inside: its threads push events as they happen, and anybody in it may ask for the newest
//! answer, or be told of changes. No broker, no database.
//!
//! ```sh
//! cargo run --release --example embed
//! ```

use std::panic::resume_unwind;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use anyhow::Result;
use telemetra::core::decode::encode_json;
use telemetra::core::source::{Channel, ChannelHandle, PushError};
use telemetra::core::{Action, Row};
use telemetra::livestream::{ChatMessage, Header, JsonDecoder, Lexicon};
use telemetra::prelude::*;
use telemetra::sinks::{LiveReader, LiveView, Notice, Subscription};

const START: EventTime = EventTime(1_767_225_600_000);
/// In the last of these minutes the first room is in uproar.
const MINUTES: u64 = 14;
const ROOMS: [&str; 3] = ["kitchen", "garden", "attic"];

/// A pipeline that reads what is pushed into the handle and keeps the last hour for the reader.
fn build() -> Result<(Pipeline<StreamAccumulator>, ChannelHandle, LiveReader<StreamSummary>)> {
    // When the channel is full, pushing waits: a service that cannot wait uses `try_push_event` or `push_event_async`.
    let (handle, source) = Channel::bounded("service", 10_000)?;
    let view = LiveView::new(3_600_000);
    let reader = view.reader();
    let pipeline = Pipeline::new()
        .source(source, JsonDecoder::mixed())
        .sentiment(Arc::new(Lexicon::english()))
        .rules(default_rules(3.0)?)
        .sink(view);
    Ok((pipeline, handle, reader))
}

/// One thread of the service. Here the seconds are made up; `seconds` keeps the threads in step, as a clock on the wall would.
fn serve(room: &str, handle: &ChannelHandle, seconds: &Barrier) -> Result<(), PushError> {
    for second in 0..MINUTES * 60 {
        seconds.wait();
        let uproar = room == ROOMS[0] && second >= (MINUTES - 1) * 60;
        for n in 0..if uproar { 20 } else { 2 + second % 2 } {
            let header = Header {
                event_id: &format!("{room}-{second}-{n}"),
                time: START.plus(second * 1000 + n),
                stream_id: room,
            };
            let user = format!("user{}", (second + n) % 40);
            let event = Event::Chat(ChatMessage {
                header,
                user_id: &user,
                username: &user,
                message: if uproar { "wow, amazing!" } else { "hello there" },
                emotes: &[],
                badges: &[],
                is_subscriber: false,
                is_moderator: false,
                sentiment: 0,
            });
            handle.push_event(&event, encode_json)?;
        }
    }
    Ok(())
}

/// Reports each moment when it is first known; ends with the pipeline.
fn announce(changes: &Subscription<StreamSummary>) -> Vec<Moment> {
    let mut announced = Vec::new();
    while let Some(notice) = changes.recv() {
        let Notice::Changed(update) = notice else { continue };
        for change in &update.changes {
            if let (Row::Moment(moment), Action::Upsert, 0) = (&change.row, change.action, change.revision) {
                println!("as of {}: {} in the {}", update.time, moment.moment_type, moment.stream_id);
                announced.push(moment.clone());
            }
        }
    }
    announced
}

/// Lets the service run its time; returns what was announced, what was open at its end, and the report.
fn run() -> Result<(Vec<Moment>, Vec<Moment>, Report)> {
    let (pipeline, handle, reader) = build()?;
    let changes = reader.subscribe(10_000);
    let running = pipeline.start()?;
    let announcer = std::thread::spawn(move || announce(&changes));
    let seconds = Barrier::new(ROOMS.len());
    std::thread::scope(|scope| {
        let serve = |room| serve(room, &handle, &seconds);
        let threads = ROOMS.map(|room| scope.spawn(move || serve(room)));
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })?;
    // The newest answer is as of the last pane that ended ten seconds (the out-of-orderness) before the newest event.
    while reader.as_of() < Some(START.plus(MINUTES * 60_000 - 20_001)) && !running.is_finished() {
        std::thread::sleep(Duration::from_millis(5));
    }
    for (room, view) in reader.streams_by(|view| view.latest().map(|(_, summary)| summary.chat_count)) {
        if let Some((window, summary)) = view.latest() {
            let (rate, users) = (summary.chat_rate(window), summary.unique_chatters);
            println!("until {}: {rate:.1} messages a second by {users} users in the {room}", window.end);
        }
    }
    let open = reader.open_moments();
    // What is in the channel is read, all windows close, and subscriptions end.
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
    fn the_uproar_is_announced_and_open() -> anyhow::Result<()> {
        let (announced, open, report) = super::run()?;
        let spike =
            |moment: &super::Moment| &*moment.moment_type == "chat_spike" && &*moment.stream_id == "kitchen";
        assert!(announced.iter().any(spike) && open.iter().any(spike), "{announced:?} {open:?}");
        assert_eq!(report.fates.on_time, report.fates.read);
        Ok(())
    }
}
