//! A generated access log: the same seed makes the same lines on every machine.

use telemetra::prelude::EventTime;

/// The first minute of the log.
pub(crate) const START: EventTime = EventTime(1_767_225_600_000);
const SITES: [&str; 3] = ["shop.example", "blog.example", "api.example"];
const PATHS: [(&str, u64); 8] = [
    ("/", 12),
    ("/search", 90),
    ("/basket", 40),
    ("/pay", 250),
    ("/posts/1", 15),
    ("/posts/2", 15),
    ("/v1/items", 30),
    ("/style.css", 2),
];
/// The minutes, counted from the first, in which the first site fails and is slow.
pub(crate) const INCIDENT: std::ops::Range<u64> = 100..105;

/// A generated log, and what was planted in it.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// The lines, in the order in which they were written.
    pub(crate) lines: Vec<String>,
    /// The number of damaged lines, which no decoder accepts.
    pub(crate) damaged: u64,
    /// The number of lines that were written too late to be counted.
    pub(crate) too_late: u64,
}

/// The random generator SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound.max(1)
    }

    /// A random latency around a typical one, with a long tail: each doubling is half as likely as the one
    /// before.
    fn latency(&mut self, typical: u64) -> u64 {
        let doublings = self.below(1 << 10).leading_zeros().saturating_sub(64 - 10).min(5);
        (typical << doublings) + self.below(typical << doublings)
    }
}

/// A log of some hours. Visitors come, look at some pages and leave, and some of them come again.
///
/// A server stamps the beginning of a request and writes the line at its end, so slow requests are out of
/// order. Some lines are minutes late, as if a log shipper had been stuck, and a few are an hour late.
pub(crate) fn log(visits: u64, seed: u64) -> Log {
    let mut random = Random(seed);
    let (mut log, mut written) = (Log::default(), Vec::new());
    for visit in 0..visits {
        let visitor = format!("203.0.113.{}", visit % 200);
        let site = random.below(SITES.len() as u64) as usize;
        let mut millis = random.below(3 * 3_600_000);
        for _ in 0..1 + random.below(12) {
            let (path, typical) = PATHS[random.below(PATHS.len() as u64) as usize];
            let broken = site == 0 && INCIDENT.contains(&(millis / 60_000));
            let latency = random.latency(typical) * if broken { 4 } else { 1 };
            let status = match random.below(100) {
                0..60 if broken => 503,
                0..3 => 404,
                3..8 => 304,
                8 => 500,
                _ => 200,
            };
            let bytes = if status == 304 { "-".to_owned() } else { (200 + random.below(60_000)).to_string() };
            let delay = match random.below(500) {
                0 if millis > 3_600_000 => 3_600_000,
                1..6 => 60_000 + random.below(120_000),
                _ => latency,
            };
            let line = format!(
                "{}:443 {visitor} - - [{}] \"GET {path} HTTP/2.0\" {status} {bytes} \"-\" \"Mozilla/5.0\" {}.{:03}",
                SITES[site],
                time(START.plus(millis)),
                latency / 1000,
                latency % 1000,
            );
            written.push((millis + delay, line));
            log.too_late += u64::from(delay == 3_600_000);
            millis += 2_000 + random.below(180_000);
        }
        if visit % 97 == 0 {
            written.push((millis, format!("{visitor} - - [the disk was full")));
            log.damaged += 1;
        }
    }
    written.sort();
    log.lines = written.into_iter().map(|(_, line)| line).collect();
    log
}

/// A time in the form of access logs: `10/Oct/2000:13:55:36 +0000`.
fn time(time: EventTime) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let text = time.to_string();
    let month = text[5..7].parse::<usize>().map_or("Jan", |month| MONTHS[(month - 1) % 12]);
    format!("{}/{month}/{}:{} +0000", &text[8..10], &text[..4], &text[11..19])
}
