//! The generator: the same for ever, what it claims, and what it plants.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;
use telemetra::core::source::Memory;
use telemetra::core::testkit::source_compliance;
use telemetra::core::{Polled, RecordBatch, Source};
use telemetra::livestream::EventKind;
use telemetra::livestream::generate::{Generator, GeneratorConfig, PlantedMoment, Planting};
use telemetra::livestream::testkit::{ScriptConfig, script};

/// Half a minute of everything, with more going wrong than usual.
fn small() -> GeneratorConfig {
    GeneratorConfig {
        streams: 50,
        duration_ms: 30_000,
        events_per_second: 300.0,
        partitions: 3,
        viewer_interval_ms: 5000,
        changes_per_hour: 60.0,
        late_delay_ms: (3000, 8000),
        too_late_delay_ms: (12_000, 20_000),
        late_ratio: 0.02,
        too_late_ratio: 0.02,
        duplicate_ratio: 0.03,
        malformed_ratio: 0.04,
        future_ratio: 0.01,
        planted: Planting::none(),
        ..GeneratorConfig::default()
    }
}

/// All records of each partition.
fn records(config: &GeneratorConfig) -> Vec<Vec<Vec<u8>>> {
    let mut generator = Generator::new(config.clone()).unwrap();
    let mut all = Vec::new();
    for id in generator.partitions().unwrap() {
        let mut partition = generator.open(&id, None).unwrap();
        let (mut batch, mut of_partition) = (RecordBatch::default(), Vec::new());
        while partition.poll(&mut batch).unwrap() != Polled::Done {
            of_partition.extend(batch.records().iter().map(|r| batch.bytes_of(r).to_vec()));
            batch.clear();
        }
        all.push(of_partition);
    }
    all
}

fn time(event: &Value) -> u64 {
    let time: jiff::Timestamp = event["timestamp"].as_str().unwrap().parse().unwrap();
    time.as_millisecond().try_into().unwrap()
}

#[test]
fn it_keeps_the_contract_of_sources() {
    source_compliance(|| Box::new(Generator::new(small()).unwrap()));
    let mut generator = Generator::new(small()).unwrap();
    let id = generator.partitions().unwrap()[0].clone();
    let error = generator.open(&id, Some(1_000_000)).err().unwrap();
    assert!(error.to_string().contains("`generator/0` at offset 1000000: it has"), "{error}");
}

#[test]
fn an_offset_is_one_in_the_records_of_the_same_settings() {
    let mut generator = Generator::new(small()).unwrap();
    let id = generator.partitions().unwrap()[0].clone();
    let mut partition = generator.open(&id, None).unwrap();
    partition.poll(&mut RecordBatch::default()).unwrap();
    let offset = partition.offset();
    let identity = partition.identity(offset);
    assert!(identity.is_some());
    assert_eq!(generator.resume(&id, offset, identity).unwrap().identity(offset), identity);
    let mut other = Generator::new(GeneratorConfig { seed: small().seed + 1, ..small() }).unwrap();
    let error = other.resume(&id, offset, identity).err().expect("other records");
    assert!(error.to_string().contains("the settings of the first run"), "{error}");
}

#[test]
fn more_partitions_than_streams_leave_some_empty() {
    source_compliance(|| {
        Box::new(Generator::new(GeneratorConfig { streams: 2, partitions: 5, ..small() }).unwrap())
    });
}

#[test]
fn a_month_is_made_as_it_is_read() {
    let month = 31 * 86_400_000;
    let mut generator =
        Generator::new(GeneratorConfig { duration_ms: month, events_per_second: 10_000.0, ..small() })
            .unwrap();
    let id = generator.partitions().unwrap()[0].clone();
    let mut batch = RecordBatch::default();
    assert_eq!(generator.open(&id, None).unwrap().poll(&mut batch).unwrap(), Polled::Ready);
    assert!(batch.is_full());
}

#[test]
fn the_bytes_are_the_same_on_every_machine() {
    let bytes: Vec<u8> = records(&small()).concat().concat();
    assert_eq!(
        xxhash_rust::xxh3::xxh3_64(&bytes),
        12_128_479_191_253_623_185,
        "changes what users have recorded: say so in the changelog"
    );
    assert_ne!(records(&GeneratorConfig { seed: 2, ..small() }), records(&small()));
}

#[test]
fn a_feed_gives_the_same_records_and_what_is_known_of_them() {
    let config = GeneratorConfig { planted: planted(), duration_ms: 60_000, ..small() };
    let generator = Generator::new(config.clone()).unwrap();
    let (mut read, mut truth) = (Vec::new(), BTreeMap::<EventKind, u64>::new());
    let mut planted = Vec::new();
    for partition in 0..3 {
        let (mut feed, mut of_partition, mut last) =
            (generator.feed(partition).unwrap(), Vec::new(), config.start);
        let mut bytes = Vec::new();
        while let Some(next) = feed.next_arrival() {
            let record = feed.next(&mut bytes).unwrap();
            assert_eq!(record.arrives_at, next);
            assert!(record.arrives_at >= last && record.arrives_at >= record.time, "{record:?}");
            last = record.arrives_at;
            let event: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            if let Some(kind) = kind(&event) {
                assert_eq!((kind, event["stream_id"].as_str().unwrap()), (record.kind, record.stream_id));
                let ahead = time(&event) - record.time.0;
                assert!(ahead == 0 || ahead > 40 * 365 * 86_400_000, "{ahead} ms off");
            }
            of_partition.push(std::mem::take(&mut bytes));
        }
        for (kind, count) in feed.truth().events {
            *truth.entry(kind).or_default() += count;
        }
        planted.extend(feed.truth().planted);
        read.push(of_partition);
    }
    assert_eq!(read, records(&config));
    assert_eq!(truth, generator.ground_truth().events);
    let mut all = generator.planted();
    let by_name = |moment: &PlantedMoment| (moment.stream_id.clone(), moment.started_at);
    planted.sort_by_key(by_name);
    all.sort_by_key(by_name);
    assert_eq!(planted, all);
    assert!(generator.feed(3).is_none());
}

/// Moments that fit into a minute.
fn planted() -> Planting {
    Planting { chat_spikes: 2, viewer_drops: 3, duration_ms: 10_000, warm_up_ms: 20_000, ..Planting::none() }
}

#[test]
fn an_endless_one_goes_on_and_plants_anew() {
    let config = GeneratorConfig {
        endless: true,
        planted: planted(),
        partitions: 1,
        duration_ms: 60_000,
        stream_end_ratio: 0.5,
        ..small().flawless()
    };
    let generator = Generator::new(config.clone()).unwrap();
    let mut feed = generator.feed(0).unwrap();
    let (mut ids, mut starts, mut ends, mut first) = (HashSet::new(), Vec::new(), Vec::new(), Vec::new());
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let record = feed.next(&mut bytes).unwrap();
        let (since, stream) = (record.arrives_at - config.start, record.stream_id.to_owned());
        if since >= 300_000 {
            break;
        }
        let event: Value = serde_json::from_slice(&bytes).unwrap();
        assert!(ids.insert(event["event_id"].as_str().unwrap().to_owned()), "an id comes again");
        match event["event_type"].as_str() {
            Some("stream_start") => starts.push((record.time, stream)),
            Some("stream_end") => {
                ends.push((record.time, stream, event["duration_minutes"].as_u64().unwrap()))
            }
            _ => {}
        }
        if record.time < config.start.plus(60_000) {
            first.push(bytes.clone());
        }
    }
    // Each stream starts once, and again in the act after the one that it ended with.
    assert_eq!(starts.iter().filter(|(time, _)| *time < config.start.plus(60_000)).count(), 50);
    let again = starts.len() - 50;
    assert!(again > 50, "of 50 streams half end every minute; {again} started again");
    assert!(ends.len() >= again && ends.len() < again + 50, "{} ended and {again} started again", ends.len());
    assert!(ends.iter().any(|(.., minutes)| *minutes == 1) && ends.iter().any(|(.., minutes)| *minutes > 1));
    let planted = feed.truth().planted;
    assert_eq!(planted.len(), 25, "five a minute");
    let streams: HashSet<_> = planted.iter().map(|moment| (&moment.stream_id, &moment.moment_type)).collect();
    assert!(streams.len() > 10, "they are on other streams every minute: {streams:?}");
    // The first act is that of a generator that ends; that one's last events cannot be late.
    let single = records(&GeneratorConfig { endless: false, ..config }).concat();
    let single: HashSet<_> = single.into_iter().collect();
    assert_eq!(first.into_iter().collect::<HashSet<_>>(), single);
}

#[test]
fn raids_and_drops_come_and_go() {
    let with = |raids_per_hour, drops_per_hour| {
        let config = GeneratorConfig {
            raids_per_hour,
            drops_per_hour,
            streams: 20,
            duration_ms: 3_600_000,
            events_per_second: 0.0,
            metadata: false,
            ..small().flawless()
        };
        let mut counts: HashMap<String, Vec<u64>> = HashMap::new();
        for record in records(&config).concat() {
            let event: Value = serde_json::from_slice(&record).unwrap();
            let stream = event["stream_id"].as_str().unwrap().to_owned();
            counts.entry(stream).or_default().push(event["viewer_count"].as_u64().unwrap());
        }
        counts
    };
    /// How many of the streams came to this multiple of their median, or beyond.
    fn reached(counts: &HashMap<String, Vec<u64>>, factor: f64) -> usize {
        let beyond = |of_stream: &&Vec<u64>| {
            let mut sorted = (*of_stream).clone();
            sorted.sort_unstable();
            let bound = sorted[sorted.len() / 2] as f64 * factor;
            let far =
                |count: &u64| if factor > 1.0 { *count as f64 > bound } else { (*count as f64) < bound };
            sorted.iter().any(far)
        };
        counts.values().filter(beyond).count()
    }
    let (quiet, raided, dropped) = (with(0.0, 0.0), with(2.0, 0.0), with(0.0, 2.0));
    assert_eq!((reached(&quiet, 1.5), reached(&quiet, 0.5)), (0, 0));
    assert!(reached(&raided, 1.5) > 10 && reached(&dropped, 0.5) > 8);
    assert_eq!((reached(&raided, 0.5), reached(&dropped, 1.5)), (0, 0));
}

/// Fields that an event of the kind must have, as a test of its own of what is well-formed.
fn kind(event: &Value) -> Option<EventKind> {
    let has = |names: &[&str]| names.iter().all(|name| event[name].is_string());
    event["timestamp"].as_str()?.parse::<jiff::Timestamp>().ok()?;
    if !has(&["event_id", "stream_id"]) {
        return None;
    }
    let kind = if event["event_type"].is_string() {
        EventKind::Meta
    } else if event["viewer_count"].is_u64() {
        EventKind::Viewer
    } else if event["amount"].is_number() && has(&["user_id", "username", "transaction_type", "currency"]) {
        EventKind::Transaction
    } else if has(&["user_id", "username", "message"]) {
        EventKind::Chat
    } else {
        return None;
    };
    Some(kind)
}

#[test]
fn the_ground_truth_is_what_a_reader_counts() {
    let truth = Generator::new(small()).unwrap().ground_truth();
    let end = small().start.plus(small().duration_ms).0;
    let (mut read, mut malformed, mut from_future, mut duplicate) = (0, 0, 0, 0);
    let mut events: BTreeMap<EventKind, u64> = BTreeMap::new();
    let mut seen = HashSet::new();
    for (partition, record) in
        records(&small()).iter().enumerate().flat_map(|(p, all)| all.iter().map(move |r| (p, r)))
    {
        read += 1;
        assert!(!record.contains(&b'\n'), "a record is a line");
        let event: Value = serde_json::from_slice(record).unwrap_or_default();
        let Some(kind) = kind(&event) else {
            malformed += 1;
            continue;
        };
        *events.entry(kind).or_default() += 1;
        if !seen.insert(event["event_id"].as_str().unwrap().to_owned()) {
            duplicate += 1;
        }
        if time(&event) >= end {
            from_future += 1;
        }
        let hash = xxhash_rust::xxh3::xxh3_64(event["stream_id"].as_str().unwrap().as_bytes());
        assert_eq!(hash % 3, partition as u64, "a stream is in its partition");
    }
    let fates = truth.fates;
    assert_eq!(
        (read, malformed, from_future, duplicate),
        (fates.read, fates.malformed, fates.from_future, fates.duplicate)
    );
    assert_eq!(events, truth.events);
    assert!(fates.is_balanced());
    assert_eq!(events.len(), 4, "events of all kinds");
    // 9,000 chat messages, 300 viewer reports, 90 transactions, 50 starts, some changes and ends.
    for (kind, ratio, count) in
        [("malformed", 0.04, malformed), ("future", 0.01, from_future), ("duplicate", 0.03, duplicate)]
    {
        let expected = ratio * read as f64;
        assert!(
            (count as f64 - expected).abs() < 4.0 * expected.sqrt(),
            "{count} {kind}, expected {expected}"
        );
    }
}

#[test]
fn arrivals_are_as_disordered_as_asked() {
    let config = GeneratorConfig {
        late_ratio: 0.02,
        too_late_ratio: 0.01,
        duration_ms: 1_200_000,
        events_per_second: 50.0,
        partitions: 1,
        ..GeneratorConfig::chat_only()
    };
    let truth = Generator::new(config.clone()).unwrap().ground_truth().fates;
    let (mut greatest, mut late, mut too_late, mut behind) = (0, 0_u64, 0_u64, Vec::new());
    for record in &records(&config)[0] {
        let time = time(&serde_json::from_slice(record).unwrap());
        greatest = greatest.max(time);
        let floor = (greatest - 10_000) / 10_000 * 10_000;
        let pane_end = time / 10_000 * 10_000 + 10_000;
        match floor.checked_sub(pane_end) {
            None => behind.push((greatest - time) as f64),
            Some(0..=300_000) => late += 1,
            Some(_) => too_late += 1,
        }
    }
    // A floor that the first pane cannot pass: `None` above also stands for "on time".
    assert_eq!(
        (late, too_late, truth.read - late - too_late),
        (truth.late_applied, truth.too_late, truth.on_time)
    );
    assert!((1000..1400).contains(&late), "{late} late of {}", truth.read);
    assert!((300..600).contains(&too_late), "{too_late} too late of {}, none near the end", truth.read);
    // Behind the greatest time seen, not behind the clock of arrival: shorter than the delay by about one delay's lead.
    let mean = behind.iter().sum::<f64>() / behind.len() as f64;
    assert!((600.0..1000.0).contains(&mean), "{mean} ms behind on average");
}

/// Some of the words that show a bad mood.
const BAD: [&str; 6] = ["awful", "hate", "trash", "cringe", "broken", "tilted"];

/// What a reader measures of a planted moment: its metric meanwhile, and in as long a time before.
fn effect(of_stream: &[(EventKind, Value)], from: u64, to: u64, moment_type: &str) -> (f64, f64) {
    let measure = |from: u64, to: u64| -> f64 {
        let inside = of_stream.iter().filter(|(_, e)| (from..to).contains(&time(e)));
        let count = |kind| inside.clone().filter(|(k, _)| *k == kind).count() as f64;
        match moment_type {
            "chat_spike" => count(EventKind::Chat),
            "donation_surge" => count(EventKind::Transaction),
            "sentiment_shift" => {
                let bad = |e: &Value| {
                    BAD.iter().any(|word| e["message"].as_str().unwrap_or_default().contains(word))
                };
                inside.clone().filter(|(_, e)| bad(e)).count() as f64 / count(EventKind::Chat)
            }
            _ => {
                let sum: u64 = inside.clone().filter_map(|(_, e)| e["viewer_count"].as_u64()).sum();
                sum as f64 / count(EventKind::Viewer)
            }
        }
    };
    (measure(from, to), measure(from - (to - from), from))
}

#[test]
fn planted_moments_are_there_to_be_found() {
    let config = GeneratorConfig {
        streams: 100,
        duration_ms: 500_000,
        events_per_second: 150.0,
        transaction_ratio: 0.05,
        planted: Planting { warm_up_ms: 120_000, ..Planting::default() },
        ..GeneratorConfig::default().flawless()
    };
    let truth = Generator::new(config.clone()).unwrap().ground_truth();
    assert_eq!(truth.planted.len(), 8 + 5 + 5 + 5 + 4);
    let streams: HashSet<&str> = truth.planted.iter().map(|p| p.stream_id.as_str()).collect();
    let mut events: HashMap<String, Vec<(EventKind, Value)>> = HashMap::new();
    for record in records(&config).concat() {
        let event: Value = serde_json::from_slice(&record).unwrap();
        let stream = event["stream_id"].as_str().unwrap();
        if streams.contains(stream) {
            events.entry(stream.to_owned()).or_default().push((kind(&event).unwrap(), event));
        }
    }
    for planted in &truth.planted {
        assert!(planted.started_at >= config.start.plus(120_000), "in the warm-up: {planted:?}");
        assert!(planted.ended_at <= config.start.plus(500_000), "after the end: {planted:?}");
        let (from, to) = (planted.started_at.0, planted.ended_at.0);
        let (meanwhile, before) = effect(&events[planted.stream_id.as_str()], from, to, &planted.moment_type);
        let factor = meanwhile / before;
        // A shift is no multiple of the mood; of bad words there are six times as many.
        let expected = if &*planted.moment_type == "sentiment_shift" { 6.0 } else { planted.factor };
        let near = expected * 0.5..expected * 2.0;
        assert!(near.contains(&factor), "{planted:?}: from {before} to {meanwhile}");
    }
}

#[test]
fn scripts_meet_the_corners() {
    let config = ScriptConfig { events: 2000, ..ScriptConfig::default() };
    let records = script(3, &config);
    assert_ne!(records, script(4, &config));
    let events: Vec<Value> =
        records.iter().map(|(_, r)| serde_json::from_slice(r).unwrap_or_default()).collect();
    let good: Vec<&Value> = events.iter().filter(|event| kind(event).is_some()).collect();
    let kinds: HashSet<EventKind> = good.iter().filter_map(|event| kind(event)).collect();
    assert_eq!(kinds.len(), 4);
    assert!((20..80).contains(&(events.len() - good.len())), "some are malformed");
    let ids: HashSet<&str> = good.iter().map(|event| event["event_id"].as_str().unwrap()).collect();
    assert!((50..150).contains(&(good.len() - ids.len())), "some come twice");
    assert!(
        good.iter().any(|event| time(event).is_multiple_of(10_000))
            && good.iter().any(|e| time(e) % 10_000 == 9999)
    );
    let source = records.iter().fold(Memory::default(), |memory, (partition, record)| {
        memory.partition(&format!("script/{partition}"), [record.as_slice()])
    });
    source_compliance(|| Box::new(source.clone()));
}
