//! The inputs, the outputs, and the workers of a run.

use super::Flag;
use crate::common::parse::{self, boolean, number, optional, real, span, text};
use crate::common::settings::put;
use crate::settings::{Output, Store};

pub(super) const FLAGS: &[Flag] = &[
    Flag::new(
        "input",
        "FILE|-",
        "a file of events to read, one JSON object a line; - is standard input; may be repeated [Kafka, else made-up events]",
        |s, v| {
            s.inputs.push(v.to_owned());
            Ok(())
        },
    )
    .several(),
    Flag::new(
        "output",
        "KIND:PATH",
        "`sqlite:FILE`, `jsonl:DIR`, `parquet:DIR` or `parquet:URL` of an object store; may be repeated [Postgres, else sqlite:telemetra.db]",
        |s, v| {
            let output = Output::parse(v)?;
            if s.outputs.contains(&output) {
                return Err(format!("`{v}` is given twice; name each target once"));
            }
            s.outputs.push(output);
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
        "the addresses of all processes of a cluster, the same for each of them [none]",
        |s, v| {
            let addresses = v.split(',').map(|one| parse::address(one).map(|_| one.to_owned()));
            put(&mut s.addresses, addresses.collect())
        },
    ),
    Flag::new("process", "N", "the index in --addresses of this process, from 0 [0]", |s, v| {
        put(&mut s.process, number(v, 0..=63))
    }),
    Flag::new(
        "checkpoint",
        "DIR|URL|postgres|postgres:NAME|off",
        "keep state in a folder, an object store (s3://BUCKET/PREFIX, gs:// or az://) or Postgres, under this name or \
         that of the pipeline, and continue from it after a restart [postgres if there, else off]",
        |s, v| put(&mut s.store, Store::parse(v).map(Some)),
    ),
    Flag::new("checkpoint-every", "TIME", "event time between checkpoints [1m]", |s, v| {
        put(&mut s.checkpoint_every, span(v))
    }),
    Flag::new("checkpoint-pause", "TIME", "the least time by the clock between checkpoints [1s]", |s, v| {
        put(&mut s.checkpoint_pause, parse::duration(v))
    }),
    Flag::new(
        "spill",
        "DIR",
        "keep the state of quiet streams that does not fit in --memory in files there [off]",
        |s, v| put(&mut s.spill, Ok((v != "off").then(|| v.into()))),
    ),
    Flag::new(
        "memory",
        "SIZE",
        "with --spill: how much memory the state of streams may take, in bytes, KiB, MiB or GiB [1GiB]",
        |s, v| put(&mut s.memory, parse::size(v)),
    )
    .needs("spill"),
    Flag::new(
        "pace",
        "FACTOR",
        "read files at the pace at which their events happened, times this [as fast as possible]",
        |s, v| put(&mut s.pace, optional(v, real)),
    ),
    Flag::new(
        "sentiment",
        "SCORER",
        "how messages are judged friendly or not: `chat`, `vader` (without the words of chats), `lexicon` (half the cost), `off`, or a file of words [chat]",
        |s, v| put(&mut s.sentiment, text(v)),
    ),
    Flag::new("json", "", "print the result as one JSON object, too: the last line of standard output [off]", |s, v| {
        put(&mut s.json, boolean(v))
    }),
    Flag::new(
        "quiet",
        "",
        "print only errors, and at the end the result in one line (the JSON object with --json) [off]",
        |s, v| put(&mut s.quiet, boolean(v)),
    ),
    Flag::new(
        "metrics-address",
        "HOST:PORT",
        "serve metrics for Prometheus there, at /metrics; process N at the port plus N [off]",
        |s, v| put(&mut s.metrics_address, parse::address(v).map(Some)),
    ),
    Flag::new("operator-times", "", "measure the time in each operator of the dataflow, for the metrics [off]", |s, v| {
        put(&mut s.operator_times, boolean(v))
    }),
    Flag::new("log-level", "LEVEL", "error, warn, info, debug or off [warn; error with --quiet]", |s, v| {
        put(&mut s.log_level, parse::level(v))
    })
    .known_as("LOG_LEVEL"),
    Flag::new("log-format", "text|json", "how the log on standard error looks [text]", |s, v| {
        put(&mut s.log_format, parse::format(v))
    })
    .known_as("LOG_FORMAT"),
];
