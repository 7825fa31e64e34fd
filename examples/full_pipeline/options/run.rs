//! Where from, where to, and on what.

use super::Flag;
use crate::common::parse::{self, boolean, number, optional, real, span};
use crate::common::settings::put;
use crate::settings::{Output, Store};

pub(super) const FLAGS: &[Flag] = &[
    Flag::new(
        "input",
        "FILE|-",
        "JSON lines to read, of any kinds of event; may be repeated [Kafka, else the generator]",
        |s, v| {
            s.inputs.push(v.to_owned());
            Ok(())
        },
    )
    .several(),
    Flag::new(
        "output",
        "KIND:PATH",
        "`sqlite:FILE`, `jsonl:DIR` or `parquet:DIR`; may be repeated [Postgres, else sqlite:telemetra.db]",
        |s, v| {
            s.outputs.push(Output::parse(v)?);
            Ok(())
        },
    )
    .several(),
    Flag::new("workers", "N", "threads per process [the cores, up to 4]", |s, v| {
        put(&mut s.workers, number(v, 1..=256))
    }),
    Flag::new("processes", "N", "processes, connected on this machine [1]", |s, v| {
        put(&mut s.processes, number(v, 1..=64))
    }),
    Flag::new(
        "addresses",
        "HOST:PORT,…",
        "where each process of a cluster is that is started by hand; all are given the same [none]",
        |s, v| {
            let addresses = v.split(',').map(|one| parse::address(one).map(|_| one.to_owned()));
            put(&mut s.addresses, addresses.collect())
        },
    ),
    Flag::new("process", "N", "which of these this one is, from 0 [0]", |s, v| {
        put(&mut s.process, number(v, 0..=63))
    }),
    Flag::new(
        "checkpoint",
        "DIR|postgres|postgres:NAME|off",
        "keep state there, under this name or that of the pipeline, and go on from it after a restart [postgres if \
         there, else off]",
        |s, v| put(&mut s.store, Store::parse(v).map(Some)),
    ),
    Flag::new("checkpoint-every", "TIME", "event time between checkpoints [1m]", |s, v| {
        put(&mut s.checkpoint_every, span(v))
    }),
    Flag::new("checkpoint-pause", "TIME", "the least time on the wall between checkpoints [1s]", |s, v| {
        put(&mut s.checkpoint_pause, parse::duration(v))
    }),
    Flag::new(
        "pace",
        "FACTOR",
        "read files at the pace recorded, times this [as fast as it goes]",
        |s, v| {
            s.pace = optional(v, real)?;
            Ok(())
        },
    ),
    Flag::new(
        "sentiment",
        "SCORER",
        "`chat`, `vader` (no layer for chats), `lexicon` (half the cost), `off`, or a file of words [chat]",
        |s, v| {
            v.clone_into(&mut s.sentiment);
            Ok(())
        },
    ),
    Flag::new("json", "", "make the last line of standard output one JSON object", |s, v| {
        put(&mut s.json, boolean(v))
    }),
    Flag::new(
        "metrics-address",
        "HOST:PORT",
        "serve metrics for Prometheus there, at /metrics; process N at the port plus N [off]",
        |s, v| put(&mut s.metrics_address, parse::address(v).map(Some)),
    ),
    Flag::new("operator-times", "", "measure the time in each operator, for the metrics [off]", |s, v| {
        put(&mut s.operator_times, boolean(v))
    }),
    Flag::new("log-level", "LEVEL", "error, warn, info, debug or off [warn]", |s, v| {
        put(&mut s.log_level, parse::level(v))
    })
    .known_as("LOG_LEVEL"),
    Flag::new("log-format", "text|json", "how the log on standard error looks [text]", |s, v| {
        put(&mut s.log_format, parse::format(v))
    })
    .known_as("LOG_FORMAT"),
];
