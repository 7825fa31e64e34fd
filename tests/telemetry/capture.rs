//! A subscriber that keeps the spans and events of the library.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};

type Fields = BTreeMap<&'static str, String>;

#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) target: &'static str,
    pub(crate) name: &'static str,
    /// The number of the span that it is in.
    pub(crate) parent: Option<u64>,
    pub(crate) fields: Fields,
    pub(crate) follows: Vec<u64>,
    /// How many handles there are.
    handles: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) target: &'static str,
    pub(crate) level: Level,
    pub(crate) parent: Option<u64>,
    pub(crate) fields: Fields,
}

/// What was made since the last [`listen`]. Spans are known by their numbers, from 1.
#[derive(Debug, Default)]
pub(crate) struct Captured {
    pub(crate) spans: Vec<Span>,
    pub(crate) events: Vec<Told>,
}

impl Captured {
    pub(crate) fn named(&self, name: &str) -> impl Iterator<Item = &Span> {
        self.spans.iter().filter(move |span| span.name == name)
    }

    pub(crate) fn parent_of(&self, span: Option<u64>) -> Option<&Span> {
        self.spans.get(usize::try_from(span?).unwrap() - 1)
    }

    pub(crate) fn open(&self) -> Vec<&Span> {
        self.spans.iter().filter(|span| span.handles > 0).collect()
    }

    /// The sum of a field of the spans of a name.
    pub(crate) fn sum(&self, name: &str, field: &str) -> u64 {
        self.named(name).map(|span| span.fields[field].parse::<u64>().unwrap()).sum()
    }
}

static CAPTURED: Mutex<Captured> = Mutex::new(Captured { spans: Vec::new(), events: Vec::new() });
/// How severe something has to be: 0 for nothing, up to 5 for everything.
static MOST: AtomicU8 = AtomicU8::new(0);

thread_local! {
    static ENTERED: std::cell::RefCell<Vec<u64>> = const { std::cell::RefCell::new(Vec::new()) };
}

fn captured() -> MutexGuard<'static, Captured> {
    CAPTURED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps what `work` makes that is of this level or more severe; nothing for `None`. One at a time, as there is one subscriber.
pub(crate) fn listen<T>(most: Option<Level>, work: impl FnOnce() -> T) -> (T, Captured) {
    static TURN: Mutex<()> = Mutex::new(());
    static SET: OnceLock<()> = OnceLock::new();
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    SET.get_or_init(|| tracing::subscriber::set_global_default(Capture).unwrap());
    *captured() = Captured::default();
    MOST.store(most.map_or(0, number), Ordering::SeqCst);
    let done = work();
    MOST.store(0, Ordering::SeqCst);
    (done, std::mem::take(&mut *captured()))
}

fn number(level: Level) -> u8 {
    [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE]
        .iter()
        .position(|other| *other == level)
        .map_or(0, |at| u8::try_from(at).unwrap() + 1)
}

/// The name of the span that the calling thread is in.
pub(crate) fn current_name() -> Option<&'static str> {
    let id = ENTERED.with_borrow(|entered| entered.last().copied());
    captured().parent_of(id).map(|span| span.name)
}

struct Capture;

impl Subscriber for Capture {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        // Whoever listens changes from test to test.
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("telemetra") && number(*metadata.level()) <= MOST.load(Ordering::SeqCst)
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let current = || ENTERED.with_borrow(|entered| entered.last().copied());
        let parent = attributes.parent().map(Id::into_u64);
        let parent = parent.or_else(|| attributes.is_contextual().then(current).flatten());
        let mut fields = Fields::new();
        attributes.record(&mut Kept(&mut fields));
        let metadata = attributes.metadata();
        let (target, name) = (metadata.target(), metadata.name());
        let mut captured = captured();
        captured.spans.push(Span { target, name, parent, fields, follows: Vec::new(), handles: 1 });
        Id::from_u64(captured.spans.len() as u64)
    }

    fn record(&self, id: &Id, values: &Record<'_>) {
        of(&mut captured(), id, |span| values.record(&mut Kept(&mut span.fields)));
    }

    fn record_follows_from(&self, id: &Id, other: &Id) {
        of(&mut captured(), id, |span| span.follows.push(other.into_u64()));
    }

    fn event(&self, event: &Event<'_>) {
        let current = || ENTERED.with_borrow(|entered| entered.last().copied());
        let parent = event.parent().map(Id::into_u64);
        let parent = parent.or_else(|| event.is_contextual().then(current).flatten());
        let mut fields = Fields::new();
        event.record(&mut Kept(&mut fields));
        let (target, level) = (event.metadata().target(), *event.metadata().level());
        captured().events.push(Told { target, level, parent, fields });
    }

    fn enter(&self, id: &Id) {
        ENTERED.with_borrow_mut(|entered| entered.push(id.into_u64()));
    }

    fn exit(&self, id: &Id) {
        ENTERED.with_borrow_mut(|entered| {
            let at = entered.iter().rposition(|entered| *entered == id.into_u64());
            at.map(|at| entered.remove(at));
        });
    }

    fn clone_span(&self, id: &Id) -> Id {
        of(&mut captured(), id, |span| span.handles += 1);
        id.clone()
    }

    fn try_close(&self, id: Id) -> bool {
        let mut captured = captured();
        of(&mut captured, &id, |span| span.handles -= 1);
        captured.spans.get(id.into_u64() as usize - 1).is_some_and(|span| span.handles == 0)
    }
}

/// Does something with a span; one of an earlier test is not there any more.
fn of(captured: &mut Captured, id: &Id, work: impl FnOnce(&mut Span)) {
    if let Some(span) = captured.spans.get_mut(id.into_u64() as usize - 1) {
        work(span);
    }
}

struct Kept<'a>(&'a mut Fields);

impl Visit for Kept<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}
