//! What happened, as one JSON object. Fields are added, never given another meaning.

use std::time::{SystemTime, UNIX_EPOCH};

use super::before::Before;
use super::dead;
use super::json::Object;
use super::limits::{Ceiling, Source};
use super::pressure::Pressure;
use super::relief::Relief;
use super::scores::{self, Score};
use super::settings::Settings;
use super::snapshot::Snapshot;
use super::track::Tracked;
use super::trend::{Heap, Moment, Verdict};
use crate::supervisor::restart;

/// The shape of a report; a number that grows when what is there changes its meaning.
const FORMAT: u32 = 1;
/// Bytes of a report at most.
const MOST: usize = 256 << 10;
/// Items of a list at first; fewer where the report would be too large.
const ITEMS: usize = 100;

/// What is known at the time.
pub struct Facts<'a> {
    /// What is configured.
    pub settings: &'a Settings,
    /// Since the start.
    pub seconds: u64,
    /// Resident bytes.
    pub rss: u64,
    /// Private bytes, where they were looked at.
    pub private: Option<u64>,
    /// What there is.
    pub ceiling: Option<Ceiling>,
    /// What the kernel says of tasks that wait for memory.
    pub pressure: Option<Pressure>,
    /// The limits in bytes.
    pub limits: (Option<u64>, Option<u64>),
    /// Open files, threads and tasks.
    pub counts: (Option<u32>, Option<u32>, Option<u32>),
    /// What the last full collection left.
    pub heap: Option<Heap>,
    /// What was, oldest first.
    pub timeline: Vec<Moment>,
    /// What was last said of it, and what the report is about.
    pub verdicts: &'a [Verdict],
    /// What was given back last.
    pub relief: Option<&'a Relief>,
    /// What is counted because it is configured.
    pub tracked: &'a [Tracked],
    /// What it is compared with.
    pub before: Option<&'a Before>,
}

impl Facts<'_> {
    /// The report, of at most [`MOST`] bytes: `reason` is a word, `text` what was logged. Instead of a
    /// snapshot there is the reason why there is none, if one was to be taken.
    pub fn report(
        &self,
        reason: &str,
        text: &str,
        snapshot: Option<Result<&Snapshot, &str>>,
    ) -> String {
        let mut items = ITEMS;
        loop {
            let mut json = self.json(reason, text, snapshot, items, items < ITEMS);
            if json.len() < MOST || items == 1 {
                json.push('\n');
                return json;
            }
            items /= 2;
        }
    }

    fn json(
        &self,
        reason: &str,
        text: &str,
        snapshot: Option<Result<&Snapshot, &str>>,
        items: usize,
        cut: bool,
    ) -> String {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let object = Object::new()
            .number("format", FORMAT)
            .text("app", &self.settings.app)
            .text("version", &self.settings.version)
            .text("build", &self.settings.build)
            .text("python", &self.settings.python)
            .text("reason", reason)
            .text("text", text)
            .number("time", time)
            .number("uptime", self.seconds)
            .number("process", std::process::id())
            .text_or_null("last_exit", restart::last_exit())
            .number("rss", self.rss)
            .number_or_null("private", self.private)
            .number_or_null("soft", self.limits.0)
            .number_or_null("hard", self.limits.1);
        let object = match self.ceiling {
            Some(ceiling) => object.raw("ceiling", &json_of_ceiling(ceiling)),
            None => object.raw("ceiling", "null"),
        };
        let object = match self.pressure {
            Some(pressure) => object.raw("pressure", &json_of_pressure(pressure)),
            None => object.raw("pressure", "null"),
        };
        let object = object
            .number_or_null("fds", self.counts.0)
            .number_or_null("threads", self.counts.1)
            .number_or_null("tasks", self.counts.2);
        let object = match self.heap {
            Some(heap) => object.raw("heap", &json_of_heap(&heap, snapshot)),
            None => object.raw("heap", "null"),
        };
        let object = match self.relief {
            Some(relief) => object.raw("relief", &json_of_relief(relief)),
            None => object.raw("relief", "null"),
        };
        let object = object
            .list("timeline", self.timeline.iter().map(json_of_moment))
            .list("verdicts", self.verdicts.iter().map(json_of_verdict))
            .list("hooks", scores::scores().iter().take(items).map(json_of_score))
            .list("dead", dead::json(items))
            .list("tracked", self.tracked.iter().take(items).map(Tracked::json));
        let object = match snapshot {
            Some(Ok(snapshot)) => {
                // The first one is what later ones are compared with.
                let before = self.before.filter(|before| before.taken < snapshot.taken);
                object.raw("snapshot", &snapshot.json(before, items).end())
            }
            Some(Err(why)) => object.raw("snapshot", "null").text("no_snapshot", why),
            None => object.raw("snapshot", "null"),
        };
        if cut { object.number("cut", true).end() } else { object.end() }
    }
}

fn json_of_ceiling(ceiling: Ceiling) -> String {
    let source = match ceiling.source {
        Source::Cgroup => "cgroup",
        Source::Machine => "machine",
    };
    Object::new().number("bytes", ceiling.bytes).text("source", source).end()
}

/// Objects are counted by the snapshot: the collector tells no number without going through all of them.
fn json_of_heap(heap: &Heap, snapshot: Option<Result<&Snapshot, &str>>) -> String {
    let objects = snapshot.and_then(Result::ok).map(|snapshot| snapshot.objects);
    Object::new()
        .number_or_null("objects", objects)
        .number("blocks", heap.blocks)
        .number_or_null("garbage", heap.garbage)
        .number_or_null("malloc_used", heap.malloc.map(|malloc| malloc.used))
        .number_or_null("malloc_free", heap.malloc.map(|malloc| malloc.free))
        .end()
}

fn json_of_relief(relief: &Relief) -> String {
    let given =
        relief.given.iter().fold(Object::new(), |object, (what, bytes)| object.number(what, bytes));
    Object::new()
        .number("level", relief.level)
        .number("milliseconds", relief.took.as_millis())
        .raw("given", &given.end())
        .number("freed", relief.freed)
        .number("cycles", relief.cycles)
        .number("waiting", relief.waiting)
        .end()
}

fn json_of_pressure(pressure: Pressure) -> String {
    Object::new().decimal("some_avg10", pressure.some).decimal("full_avg10", pressure.full).end()
}

fn json_of_score(score: &Score) -> Object {
    Object::new()
        .text("name", &score.name)
        .number("calls", score.calls)
        .number("bytes", score.bytes)
        .number("freed", score.freed)
        .decimal("milliseconds", score.took.as_secs_f64() * 1e3)
        .number("useless", score.useless())
        .number("failed", score.failed)
}

fn json_of_moment(moment: &Moment) -> Object {
    let names = ["rss", "private", "fds", "threads", "tasks"];
    let object = Object::new().number("at", moment.at.as_secs());
    names.iter().zip(moment.values).fold(object, |object, (name, value)| match value {
        Some(value) => object.number(name, value),
        None => object,
    })
}

fn json_of_verdict(verdict: &Verdict) -> Object {
    Object::new()
        .text("kind", &verdict.kind.to_string())
        .number("alarm", verdict.kind.is_alarm())
        .text("text", &verdict.to_string())
        .decimal("per_hour", verdict.rate)
        .decimal("per_hour_at_least", verdict.at_least)
        .decimal("headroom", verdict.headroom)
        .number("seconds_to_limit", verdict.time_to_limit().as_secs())
        .number("seconds_to_limit_at_most", verdict.at_most().as_secs())
        .number("window_seconds", verdict.window.as_secs())
}
