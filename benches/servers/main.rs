//! The cost of the way from Kafka to Postgres and Redis, the latency of an answer on it, and the time of a restart.
//!
//! Real servers, started here, share the machine with what is measured. Each case runs in a process of its own.
//!
//! ```sh
//! cargo bench --bench servers -- throughput
//! cargo bench --bench servers -- latency
//! cargo bench --bench servers -- restart
//! cargo bench --bench servers -- upgrade --rate 20000 --slide 500 --window 3000 --seconds 900
//! cargo bench --bench servers -- slow --seconds 600 --slide 1000 --window 6000
//! ```

#[path = "../support/allocator.rs"]
mod allocator;
mod bare;
mod feed;
mod latency;
mod pipeline;
mod restart;
mod rig;
#[path = "../../tests/support/services.rs"]
mod services;
mod slow;
#[path = "../support/threads.rs"]
mod threads;
mod throughput;
mod upgrade;
#[path = "../support/usage.rs"]
mod usage;

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The options, each with its default.
const OPTIONS: &[(&str, &str)] = &[
    ("events", "2000000"),
    ("streams", "1000"),
    ("partitions", "4"),
    ("workers", "2"),
    ("minutes", "30"),
    ("runs", "3"),
    ("rate", "10000"),
    ("seconds", "120"),
    ("window", "60000"),
    ("slide", "10000"),
    ("disorder", "10000"),
    ("headers", "yes"),
    ("only", ""),
    ("upgrades", "20"),
];

/// What was asked for: options as text, by name.
#[derive(Clone, Debug)]
pub(crate) struct Options(BTreeMap<String, String>);

impl Options {
    fn read(args: &[String]) -> Result<Self> {
        let defaults = OPTIONS.iter().map(|(name, default)| ((*name).to_owned(), (*default).to_owned()));
        let mut options: BTreeMap<String, String> = defaults.collect();
        for pair in args.chunks(2) {
            let name = pair[0].strip_prefix("--").with_context(|| format!("`{}` is no option", pair[0]))?;
            let value = pair.get(1).with_context(|| format!("--{name} takes a value"))?;
            if !options.contains_key(name)
                && !matches!(name, "kafka" | "postgres" | "redis" | "folder" | "version")
            {
                let known: Vec<_> = OPTIONS.iter().map(|(name, _)| format!("--{name}")).collect();
                bail!("there is no option --{name}; there are {}", known.join(", "));
            }
            options.insert(name.to_owned(), value.clone());
        }
        Ok(Self(options))
    }

    pub(crate) fn text(&self, name: &str) -> Result<&str> {
        self.0.get(name).map(String::as_str).with_context(|| format!("--{name} is missing"))
    }

    pub(crate) fn number(&self, name: &str) -> Result<u64> {
        self.text(name)?.parse().with_context(|| format!("--{name} takes a number"))
    }

    pub(crate) fn with(&self, name: &str, value: impl ToString) -> Self {
        let mut options = self.clone();
        options.0.insert(name.to_owned(), value.to_string());
        options
    }

    /// This program, to run a case in a process of its own with these options.
    pub(crate) fn command(&self, case: &str) -> Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("case").arg(case);
        for (name, value) in &self.0 {
            command.arg(format!("--{name}")).arg(value);
        }
        Ok(command)
    }

    /// Runs a case and returns what it printed.
    pub(crate) fn run(&self, case: &str) -> Result<String> {
        let output = self.command(case)?.output()?;
        if !output.status.success() {
            bail!("{case}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?)
    }
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let Some((what, rest)) = args.split_first() else {
        println!("give one of throughput, latency, restart, upgrade, slow; options, with defaults:");
        OPTIONS.iter().for_each(|(name, default)| println!("  --{name} {default}"));
        return Ok(());
    };
    match (what.as_str(), rest) {
        ("throughput", rest) => throughput::measure(&Options::read(rest)?),
        ("latency", rest) => latency::measure(&Options::read(rest)?),
        ("restart", rest) => restart::measure(&Options::read(rest)?),
        ("upgrade", rest) => upgrade::measure(&Options::read(rest)?),
        ("slow", rest) => slow::measure(&Options::read(rest)?),
        ("case", [case, rest @ ..]) => {
            let options = Options::read(rest)?;
            match case.as_str() {
                "bare" => bare::run(&options),
                "feed" => feed::paced(&options),
                "watch" => latency::watch(&options),
                "suffer" => slow::suffer(&options),
                "version" => upgrade::version(&options),
                "keep" => restart::keep(&options),
                "resume" => restart::resume(&options),
                sinks => throughput::run(&options, sinks),
            }
        }
        _ => bail!(
            "there is nothing called `{what}` to measure; give throughput, latency, restart, upgrade or slow"
        ),
    }
}
