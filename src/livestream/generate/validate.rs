use super::config::GeneratorConfig;
use crate::core::{ConfigError, EventTime};

impl GeneratorConfig {
    /// Checks every setting. [`Generator::new`](super::Generator::new) checks whether enough streams have the
    /// traffic for the planted moments.
    ///
    /// # Errors
    ///
    /// The first setting that cannot work.
    pub fn validate(&self) -> Result<(), ConfigError> {
        const DAY: u64 = 86_400_000;
        let check = |ok: bool, setting: &str, detail: String, hint: &str| {
            if ok { Ok(()) } else { Err(ConfigError::new(format!("generator.{setting}"), detail, hint)) }
        };
        let count = |setting: &str, value: u32, most: u32| {
            let hint = format!("give 1 to {most}");
            check((1..=most).contains(&value), setting, format!("it is {value}"), &hint)
        };
        let number = |setting: &str, value: f64, least: f64, most: f64| {
            let hint = format!("give a number from {least} to {most}");
            check((least..=most).contains(&value), setting, format!("it is {value}"), &hint)
        };
        let seconds = |setting: &str, value: u64, least: u64, most: u64| {
            let hint = format!("give whole seconds, from {least} to {most} ms");
            let ok = (least..=most).contains(&value) && value.is_multiple_of(1000);
            check(ok, setting, format!("it is {value} ms"), &hint)
        };
        count("streams", self.streams, 10_000_000)?;
        count("partitions", self.partitions, 4096)?;
        count("users_per_stream", self.users_per_stream, 10_000_000)?;
        count("message_bytes", self.message_bytes, 2000)?;
        number("zipf_exponent", self.zipf_exponent, 0.0, 4.0)?;
        number("events_per_second", self.events_per_second, 0.0, 1e7)?;
        number("transaction_ratio", self.transaction_ratio, 0.0, 10.0)?;
        number("changes_per_hour", self.changes_per_hour, 0.0, 3600.0)?;
        number("raids_per_hour", self.raids_per_hour, 0.0, 60.0)?;
        number("drops_per_hour", self.drops_per_hour, 0.0, 60.0)?;
        let mut flawed = 0.0;
        for (setting, ratio) in [
            ("late_ratio", self.late_ratio),
            ("too_late_ratio", self.too_late_ratio),
            ("duplicate_ratio", self.duplicate_ratio),
            ("malformed_ratio", self.malformed_ratio),
            ("future_ratio", self.future_ratio),
        ] {
            number(setting, ratio, 0.0, 1.0)?;
            flawed += ratio;
            let detail = format!("with the ratios before it the sum is {flawed}");
            check(flawed <= 1.0, setting, detail, "let the ratios sum to 1 at most")?;
        }
        number("stream_end_ratio", self.stream_end_ratio, 0.0, 1.0)?;
        seconds("duration_ms", self.duration_ms, 1000, 31 * DAY)?;
        seconds("viewer_interval_ms", self.viewer_interval_ms, 0, DAY)?;
        let hint = "give at most a minute; what is later is late";
        check(
            self.disorder_mean_ms <= 60_000,
            "disorder_mean_ms",
            format!("it is {} ms", self.disorder_mean_ms),
            hint,
        )?;
        for (setting, (from, to)) in
            [("late_delay_ms", self.late_delay_ms), ("too_late_delay_ms", self.too_late_delay_ms)]
        {
            let hint = "give the lesser first, and at most a day";
            check(from <= to && to <= DAY, setting, format!("it is from {from} to {to} ms"), hint)?;
        }
        let hint = "give a time before the year 9900";
        let end = self.start.plus(self.duration_ms);
        check(
            end < EventTime::LATEST.minus(100 * 366 * DAY),
            "start",
            format!("event time ends {end}"),
            hint,
        )?;
        let odd = self.emotes.iter().find(|emote| emote.is_empty() || emote.len() > 32);
        let hint = "give emotes of 1 to 32 bytes";
        check(odd.is_none(), "emotes", format!("an emote is `{}`", odd.map_or("", |e| e)), hint)?;
        let odd = self.stream_ids.iter().find(|id| id.is_empty() || id.len() > 256);
        let hint = "give ids of 1 to 256 bytes";
        check(odd.is_none(), "stream_ids", format!("an id is `{}`", odd.map_or("", |id| id)), hint)?;
        let (ids, streams) = (self.stream_ids.len(), self.streams);
        let detail = format!("there are {ids} for {streams} streams");
        check(ids <= streams as usize, "stream_ids", detail, "give fewer, or raise `streams`")?;
        let planted = &self.planted;
        if planted.is_empty() {
            return Ok(());
        }
        number("planted.spike_factor", planted.spike_factor, 1.0, 1000.0)?;
        number("planted.surge_factor", planted.surge_factor, 1.0, 1000.0)?;
        number("planted.drop_factor", planted.drop_factor, 0.0, 1.0)?;
        number("planted.donation_factor", planted.donation_factor, 1.0, 1000.0)?;
        seconds("planted.duration_ms", planted.duration_ms, 1000, DAY)?;
        seconds("planted.warm_up_ms", planted.warm_up_ms, 0, 31 * DAY)?;
        let least = planted.warm_up_ms + planted.duration_ms;
        let hint = "make the duration longer, the warm-up shorter, or plant nothing";
        let detail = format!(
            "{} ms leave no time for moments after a warm-up, which take {least} ms",
            self.duration_ms
        );
        check(least <= self.duration_ms, "planted", detail, hint)
    }
}
