//! Rules by example, then by numbers: 200 series of every family that was ever accused wrongly, and of leaks.

use super::*;

const MIB: f64 = 1024.0 * 1024.0;
const HOUR: f64 = 3600.0;
/// What is left to the limit when a series begins.
const ROOM: f64 = 64.0 * MIB;
const BASE: f64 = 40.0 * MIB;
const SERIES: u64 = 200;

/// A look every two seconds, a day ahead.
fn usual() -> Scale {
    Scale::of(Duration::from_secs(2), Duration::from_secs(24 * 3600))
}

fn room(bytes: f64) -> Headroom {
    Headroom { memory: bytes.max(0.0) as u64, fds: Some(1000), threads: None }
}

fn sample(seconds: f64, rss: f64) -> Sample {
    Sample { at: Duration::from_secs_f64(seconds), rss: rss as u64, ..Sample::default() }
}

/// What is said at the end of so many hours of a sample each minute.
fn told(hours: f64, headroom: Headroom, make: impl Fn(f64) -> Sample) -> Vec<Verdict> {
    let mut judge = Judge::new(usual());
    for minute in 0..=(hours * 60.0) as u32 {
        judge.add(&make(f64::from(minute) * 60.0));
    }
    judge.verdicts(&headroom).collect()
}

fn kinds(verdicts: &[Verdict]) -> Vec<Kind> {
    verdicts.iter().map(|verdict| verdict.kind).collect()
}

/// A leak of 10 MiB/h beside a heap, which is collected every ten minutes.
fn with_heap(heap: impl Fn(f64) -> Heap) -> Vec<Verdict> {
    told(3.0, room(ROOM), |t| {
        let collected = (t as u64).is_multiple_of(600);
        Sample {
            heap: collected.then(|| heap(t / HOUR)),
            ..sample(t, BASE + 10.0 * MIB * t / HOUR)
        }
    })
}

/// Live objects and blocks, used and free bytes of `malloc`.
fn heap(objects: f64, blocks: f64, used: f64, free: f64) -> Heap {
    let malloc = Some(Malloc { used: used as u64, free: free as u64 });
    let (objects, blocks) = (objects as u64, blocks as u64);
    Heap { objects, blocks, malloc, ..Heap::default() }
}

#[test]
fn what_is_remembered_goes_from_the_oldest_block_to_the_youngest() {
    let mut judge = Judge::new(usual());
    for minute in 0..=360 {
        let mut sample = sample(f64::from(minute) * 60.0, BASE + f64::from(minute) * MIB);
        sample.tasks = Some(7);
        judge.add(&sample);
    }
    let line = judge.timeline();
    assert!(line.windows(2).all(|pair| pair[0].at < pair[1].at), "{line:?}");
    // Four hours in blocks of twenty minutes, two in blocks of two.
    assert_eq!(line.len(), 12 + 60);
    assert_eq!(line[0].values, [Some(BASE as u64), None, None, None, Some(7)]);
    assert_eq!(line[72 - 1].at, Duration::from_secs(358 * 60));
}

#[test]
fn a_judge_is_small() {
    assert!(size_of::<Judge>() < 8 * 1024, "{}", size_of::<Judge>());
}

#[test]
fn time_is_counted_in_looks() {
    let Scale { horizon, short, long } = usual();
    let minutes = [horizon, short, long].map(|time| time.as_secs() / 60);
    assert_eq!(minutes, [24 * 60, 2, 20]);
    // The same series, two hundred times as quick.
    let quick = Scale::of(Duration::from_millis(10), horizon / 200);
    let mut judges = [(usual(), 1.0), (quick, 200.0)].map(|(scale, by)| (Judge::new(scale), by));
    let mut series = Series::new(3);
    let mut noise = series.autoregression(0.99, 2.0 * MIB);
    let mut spoken = 0;
    for look in 0..40_000 {
        let at = 2.0 * f64::from(look);
        let rss = BASE + 1e3 * at + noise(at);
        let [usual, quick] = judges.each_mut().map(|(judge, by)| {
            let finished = judge.add(&sample(at / *by, rss));
            let verdicts = finished.then(|| judge.verdicts(&room(ROOM))).into_iter().flatten();
            verdicts.map(|verdict| (verdict.kind, (verdict.rate / *by).round())).collect::<Vec<_>>()
        });
        assert_eq!(usual, quick);
        spoken += usual.len();
    }
    assert!(spoken > 0);
}

#[test]
fn no_block_lacks_what_is_looked_at_seldom() {
    // Looks in time, late ones, and a machine that has hardly time to look.
    for late in [1.0, 1.4, 7.0, 29.0] {
        let mut judge = Judge::new(usual());
        let looks = (0..10_000).map(|look| Duration::from_secs_f64(2.0 * late * f64::from(look)));
        let due: Vec<f64> =
            looks.filter(|at| judge.is_due(*at)).map(|at| at.as_secs_f64()).collect();
        let blocks = (due[due.len() - 1] / 120.0) as usize;
        let seen = |block: usize| due.iter().filter(|at| (**at / 120.0) as usize == block).count();
        assert!((0..blocks).all(|block| (1..=2).contains(&seen(block))), "{late}");
    }
}

#[test]
fn the_verdict_names_the_cause() {
    let cases = [
        // Small objects: 10 MiB are 163840 blocks of 64 bytes.
        (Kind::Leak, with_heap(|h| heap(1e5 + 5e4 * h, 2e5 + 1.6e5 * h, 1e7, 1e6))),
        // Large buffers in a list: few blocks, much malloc.
        (Kind::Leak, with_heap(|h| heap(1e5, 2e5 + 80.0 * h, 1e7 + 10.0 * MIB * h, 1e6))),
        // C code that forgets to free, by malloc or by mmap, and Python's heap going up and down.
        (
            Kind::NativeGrowth,
            with_heap(|h| heap(1e5, 2e5 + (50.0 * h).sin() * 99.0, 1e7 + 10.0 * MIB * h, 1e6)),
        ),
        (Kind::NativeGrowth, with_heap(|_| heap(1e5, 2e5, 1e7, 1e6))),
        // As many blocks more as 40 KiB.
        (Kind::NativeGrowth, with_heap(|h| heap(1e5, 2e5 + 80.0 * h, 1e7, 1e6))),
        (Kind::Fragmentation, with_heap(|h| heap(1e5, 2e5, 1e7, 1e6 + 10.0 * MIB * h))),
        (
            Kind::Fragmentation,
            with_heap(|h| Heap {
                arenas: Some((3e7 + 10.0 * MIB * h) as u64),
                ..heap(1e5, 2e5, 1e7, 1e6)
            }),
        ),
        // Each collection finds more, and leaves the same.
        (
            Kind::Cycles,
            with_heap(|h| Heap {
                garbage: Some((64e3 + 10.0 * MIB * h) as u64),
                ..heap(1e5, 2e5, 1e7, 1e6)
            }),
        ),
        // Without mallinfo2 large buffers cannot be excluded.
        (Kind::Leak, with_heap(|h| Heap { malloc: None, ..heap(1e5, 2e5 + 80.0 * h, 0.0, 0.0) })),
    ];
    for (i, (kind, verdicts)) in cases.into_iter().enumerate() {
        assert_eq!(kinds(&verdicts), [kind], "case {i}");
    }
}

#[test]
fn too_few_collections_say_nothing_but_cycles() {
    let grown = |t: f64| BASE + 10.0 * MIB * t / HOUR;
    assert_eq!(kinds(&told(3.0, room(ROOM), |t| sample(t, grown(t)))), [Kind::Growth]);
    for (garbage, kind) in [(1 << 10, Kind::Growth), (20 << 20, Kind::Cycles)] {
        let heap = Heap { garbage: Some(garbage), ..heap(1e5, 2e5, 1e7, 1e6) };
        let once = |t: f64| Sample { heap: (t == 9000.0).then_some(heap), ..sample(t, grown(t)) };
        assert_eq!(kinds(&told(3.0, room(ROOM), once)), [kind]);
    }
}

/// Counted every minute, without any collection: what lives and what is garbage look alike.
#[test]
fn a_collection_tells_garbage_from_a_leak() {
    let counted = |collections: &[f64]| {
        let collections = collections.to_vec();
        told(3.0, room(ROOM), move |t| {
            let grown = 10.0 * MIB * t / HOUR;
            let found = collections.contains(&t).then_some(grown as u64);
            let heap = Heap { garbage: found, ..heap(1e5, 2e5 + grown / 64.0, 1e7, 1e6) };
            Sample { heap: Some(heap), ..sample(t, BASE + grown) }
        })
    };
    let [leak] = counted(&[])[..] else { panic!() };
    assert_eq!((leak.kind, leak.unsure), (Kind::Leak, true));
    // It has grown by 20 MiB in the window.
    let after = |mebibytes: u64| leak.collected(mebibytes << 20);
    assert_eq!((after(1).kind, after(1).unsure), (Kind::Leak, false));
    assert_eq!((after(15).kind, after(15).unsure), (Kind::Cycles, false));
    // One that was there anyway is as good, if it is no half-hour ago.
    assert_eq!(kinds(&counted(&[9600.0])), [Kind::Cycles]);
    assert!(counted(&[7200.0])[0].unsure);
}

/// Between collections everything grows, and what they leave does not.
#[test]
fn what_is_counted_between_collections_is_not_held_against_what_lives() {
    let grown = |t: f64| 10.0 * MIB * t / HOUR;
    let verdicts = told(3.0, room(ROOM), |t| {
        let collected = (t as u64).is_multiple_of(600);
        let garbage = if collected { 0.0 } else { grown(t) };
        let found = collected.then_some(grown(t) as u64);
        let heap = Heap { garbage: found, ..heap(1e5, 2e5 + garbage / 64.0, 1e7, 1e6) };
        Sample { heap: Some(heap), ..sample(t, BASE + grown(t)) }
    });
    assert_eq!(kinds(&verdicts), [Kind::Cycles]);
}

#[test]
fn what_flattens_is_a_warm_up() {
    let warm =
        told(2.0, room(ROOM), |t| sample(t, BASE + 40.0 * MIB * (1.0 - (-t / 3600.0).exp())));
    assert_eq!(kinds(&warm), [Kind::WarmUp]);
    assert!(!warm[0].kind.is_alarm());
}

/// Three hours of work in eight, which takes 30 MiB and gives them back.
#[test]
fn only_what_is_new_is_growth() {
    let mut judge = Judge::new(usual());
    let mut alarms = vec![];
    for at in (0..48 * 3600).step_by(120).map(f64::from) {
        let above = 10.0
            * MIB
            * (at % (8.0 * HOUR) / HOUR).min(3.0)
            * f64::from(at % (8.0 * HOUR) < 3.5 * HOUR);
        judge.add(&sample(at, BASE + above));
        let verdicts = judge.verdicts(&room(ROOM - above));
        alarms.extend(
            verdicts.filter(|verdict| verdict.kind.is_alarm()).map(|_| (at / (8.0 * HOUR)) as u32),
        );
    }
    alarms.dedup();
    // The first is a leak for all that can be known.
    assert_eq!(alarms, [0]);
}

#[test]
fn private_memory_goes_before_resident() {
    let with_uss = |uss: f64| {
        told(3.0, room(ROOM), |t| Sample { uss: Some(uss as u64), ..sample(t, BASE + 9e3 * t) })
    };
    // Page cache: what is shared grows.
    assert_eq!(kinds(&with_uss(3e7)), []);
    // Seen once, it says nothing.
    let once = |t: f64| Sample { uss: (t == 0.0).then_some(1), ..sample(t, BASE + 9e3 * t) };
    assert_eq!(kinds(&told(3.0, room(ROOM), once)), [Kind::Growth]);
}

#[test]
fn counts_are_held_against_their_limit_or_good_sense() {
    let counted = |fds: f64, tasks: f64, threads: f64| {
        told(7.0, room(ROOM), |t| Sample {
            fds: Some((9.0 + fds * t / HOUR) as u32),
            tasks: Some((5.0 + tasks * t / HOUR) as u32),
            threads: Some((3.0 + threads * t / HOUR) as u32),
            ..sample(t, BASE)
        })
    };
    assert_eq!(kinds(&counted(0.0, 0.0, 0.0)), []);
    assert_eq!(kinds(&counted(60.0, 60.0, 0.0)), [Kind::FdLeak, Kind::TaskLeak]);
    assert_eq!(kinds(&counted(0.0, 0.0, 6.0)), [Kind::ThreadLeak]);
    // 24 h take 480 of the 1000.
    assert_eq!(kinds(&counted(20.0, 20.0, 2.0)), []);
}

#[test]
fn a_verdict_is_one_line() {
    let verdict = |kind, rate, at_least, headroom| {
        Verdict { kind, rate, at_least, headroom, window: Duration::from_secs(7200), unsure: false }
            .to_string()
    };
    assert_eq!(
        verdict(Kind::Leak, 3.5 * MIB, 2.99 * MIB, 42.0 * MIB),
        "leak: 3.5 MiB/h (at least 2.9), 12 h to the hard limit (at most 15)"
    );
    assert_eq!(
        verdict(Kind::Cycles, 64.0 * MIB, 64.0 * MIB, 64.0 * MIB),
        "garbage cycles: 64.0 MiB/h (at least 64.0), 60 min to the hard limit (at most 60); collecting gives it back"
    );
    assert_eq!(
        verdict(Kind::WarmUp, 512.0 * 1024.0, 51200.0, MIB),
        "warm-up: 512.0 KiB/h (at least 50.0), slowing down"
    );
    assert_eq!(
        verdict(Kind::FdLeak, 10.0, 9.0, 1000.0),
        "fd leak: 10.0 fds/h (at least 9.0), 4 d to the limit of open files (at most 5)"
    );
    assert_eq!(
        verdict(Kind::TaskLeak, 60.0, 50.0, 1000.0),
        "task leak: 60.0 tasks/h (at least 50.0), 17 h to 1000 more (at most 20)"
    );
    assert!(verdict(Kind::Leak, 1.0, 1e-300, 1e300).contains("to the hard limit"));
}

#[test]
fn a_clock_that_repeats_jumps_or_goes_back_accuses_nobody() {
    let rate = 10.0 * MIB / HOUR;
    let run = |times: &mut dyn Iterator<Item = f64>| {
        let mut judge = Judge::new(usual());
        let mut blocks = 0;
        for (i, at) in times.enumerate() {
            blocks += u32::from(judge.add(&sample(at, BASE + rate * i as f64 * 60.0)));
        }
        (blocks, kinds(&judge.verdicts(&room(ROOM)).collect::<Vec<_>>()))
    };
    let minutes = || (0..181).map(|minute| f64::from(minute) * 60.0);
    assert_eq!(run(&mut minutes()), (90, vec![Kind::Growth]));
    // Each twice, and one from the past between them.
    let mut repeated = minutes().flat_map(|at| [at, at, at - 30.0]).skip(3);
    assert_eq!(run(&mut repeated).1, [Kind::Growth]);
    // A day's sleep in the midst: what came before is not of today.
    let mut slept = minutes().map(|at| if at > 9000.0 { at + 86400.0 } else { at });
    assert_eq!(run(&mut slept).1, []);
    // A few minutes' stop is no matter, and neither are ten million years.
    let mut stopped = minutes().map(|at| if at > 3600.0 { at + 900.0 } else { at });
    assert_eq!(run(&mut stopped).1, [Kind::Growth]);
    assert_eq!(run(&mut minutes().chain([3e14])).1, []);
    // A clock that is another one begins anew, and the leak is seen by it in the end.
    let mut other = [3e14].into_iter().chain(minutes());
    assert_eq!(run(&mut other).1, [Kind::Growth]);
}

/// A sample for each short block says the same as all of its samples: the simulations rely on it.
#[test]
fn the_lowest_of_a_block_stands_for_its_samples() {
    let mut series = Series::new(7);
    let mut noise = series.autoregression(0.99, 2.0 * MIB);
    let (mut all, mut lowest) = (Judge::new(usual()), Judge::new(usual()));
    let mut spoken = 0;
    for block in 0..360 {
        let times = (0..12).map(|i| f64::from(block) * 120.0 + f64::from(i) * 10.0);
        let samples: Vec<Sample> = times.map(|t| sample(t, BASE + 1e3 * t + noise(t))).collect();
        samples.iter().for_each(|sample| _ = all.add(sample));
        let rss = samples.iter().map(|sample| sample.rss).min().unwrap();
        lowest.add(&Sample { rss, ..samples[0] });
        let verdicts = [&all, &lowest].map(|judge| judge.verdicts(&room(ROOM)).collect::<Vec<_>>());
        assert_eq!(verdicts[0], verdicts[1]);
        spoken += verdicts[0].len();
    }
    assert!(spoken > 0);
}

/// Random numbers, the same on every run: xorshift64, and Box and Muller's normal ones.
struct Series {
    state: u64,
    spare: Option<f64>,
}

impl Series {
    fn new(seed: u64) -> Self {
        let mut series = Self { state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1, spare: None };
        // Seeds that are near each other begin alike.
        (0..20).for_each(|_| _ = series.uniform());
        series
    }

    fn uniform(&mut self) -> f64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Between two bounds, as many per octave.
    fn scale(&mut self, low: f64, high: f64) -> f64 {
        low * (high / low).powf(self.uniform())
    }

    fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        let (sine, cosine) = (std::f64::consts::TAU * self.uniform()).sin_cos();
        self.spare = Some(radius * sine);
        radius * cosine
    }

    /// Stationary, from sample to sample.
    fn autoregression(&mut self, memory: f64, deviation: f64) -> impl FnMut(f64) -> f64 + use<> {
        let mut own = Self::new((self.uniform() * 1e15) as u64);
        let step = deviation * (1.0 - memory * memory).sqrt();
        let mut value = own.normal() * deviation;
        move |_| {
            value = memory * value + step * own.normal();
            value
        }
    }
}

/// A series of bytes above the base, by seconds, asked every ten.
type Memory = Box<dyn FnMut(f64) -> f64>;

/// The first alarm in so many hours, asked for after every block. Where nothing is optimised that would take
/// minutes, and it is asked for seventy times, at other times in each series.
fn first_alarm(hours: f64, seed: u64, memory: &mut Memory) -> Option<(f64, Verdict)> {
    let look = if cfg!(debug_assertions) { (hours * 30.0 / 70.0).ceil() as u64 } else { 1 };
    let mut judge = Judge::new(usual());
    let mut at = 0.0;
    let mut block = seed;
    while at < hours * HOUR {
        let began = at;
        let mut lowest = f64::INFINITY;
        let mut now = 0.0;
        for _ in 0..12 {
            now = memory(at);
            lowest = lowest.min(now);
            at += 10.0;
        }
        judge.add(&sample(began, BASE + lowest));
        block += 1;
        if !block.is_multiple_of(look) {
            continue;
        }
        let alarm = judge.verdicts(&room(ROOM - now)).find(|verdict| verdict.kind.is_alarm());
        if let Some(alarm) = alarm {
            return Some((at, alarm));
        }
    }
    None
}

/// No alarm in any of the series within a day, which begins with its first two hours.
fn accuses_nobody(family: impl Fn(&mut Series) -> Memory) {
    let alarm = |seed| first_alarm(24.0, seed, &mut family(&mut Series::new(seed)));
    let alarms: Vec<_> = (1..=SERIES).filter_map(|seed| Some((seed, alarm(seed)?))).collect();
    assert!(alarms.is_empty(), "{} of {SERIES}, such as {:?}", alarms.len(), alarms[0]);
}

/// An alarm in all of the series that reach the limit after so many hours, while this share of them is left.
fn finds_every(hours: f64, left: f64, family: impl Fn(&mut Series) -> Memory) {
    for seed in 1..=SERIES {
        let found = first_alarm(hours, seed, &mut family(&mut Series::new(seed)));
        let (at, verdict) = found.unwrap_or_else(|| panic!("series {seed} was not found"));
        assert!(
            at <= (1.0 - left) * hours * HOUR,
            "series {seed} was found after {:.1} h",
            at / HOUR
        );
        assert!(verdict.at_most() >= verdict.time_to_limit());
    }
}

/// What swings stays below a fifth of the room, unless a test says otherwise; see the module's rule 3.
const SWING: f64 = ROOM / 5.0;

/// What every process does beside the rest.
fn breath(series: &mut Series) -> impl FnMut(f64) -> f64 + use<> {
    series.autoregression(0.9, 0.2 * MIB)
}

#[test]
fn quickly_forgetting_noise_is_no_leak() {
    accuses_nobody(|series| Box::new(series.autoregression(0.95, SWING / 4.0)));
}

#[test]
fn slowly_forgetting_noise_is_no_leak() {
    accuses_nobody(|series| Box::new(series.autoregression(0.99, SWING / 6.0)));
}

/// To 60 % of the room, within minutes or a day.
#[test]
fn a_warm_up_is_no_leak() {
    accuses_nobody(|series| {
        let (mut breath, lag) = (breath(series), series.scale(180.0, 24.0 * HOUR));
        let height = 0.6 * ROOM * series.uniform();
        Box::new(move |t| height * (1.0 - (-t / lag).exp()) + breath(t))
    });
}

/// A step to 60 % of the room, or what takes until the next day, in the midst of the day.
#[test]
fn new_work_is_no_leak() {
    accuses_nobody(|series| {
        let (mut breath, begun) = (breath(series), 20.0 * HOUR * series.uniform());
        let (lag, height) = match series.uniform() {
            ..0.5 => (1.0, 0.6 * ROOM * series.uniform()),
            _ => (series.scale(180.0, 24.0 * HOUR), SWING * series.uniform()),
        };
        Box::new(move |t| height * (1.0 - ((begun - t).min(0.0) / lag).exp()) + breath(t))
    });
}

/// Garbage that is collected, caches that are emptied: every minute or every six hours, at times early or late.
#[test]
fn a_sawtooth_is_no_leak() {
    accuses_nobody(|series| {
        let (mut breath, period) = (breath(series), series.scale(60.0, 6.0 * HOUR));
        let (height, jitter) = (SWING * series.uniform(), 0.5 * series.uniform());
        let (mut phase, mut pace) = (series.uniform(), 1.0);
        let mut own = Series::new((series.uniform() * 1e15) as u64);
        Box::new(move |t| {
            phase += 10.0 / period * pace;
            if phase >= 1.0 {
                phase = jitter * own.uniform();
                pace = 1.0 + jitter * (own.uniform() - 0.5);
            }
            height * phase + breath(t)
        })
    });
}

/// To 60 % of the room, for up to half an hour, three in an hour.
#[test]
fn bursts_are_no_leak() {
    accuses_nobody(|series| {
        let mut breath = breath(series);
        let mut own = Series::new((series.uniform() * 1e15) as u64);
        let (mut height, mut until) = (0.0, 0.0);
        Box::new(move |t| {
            if t >= until && own.uniform() < 10.0 / 1200.0 {
                (height, until) = (0.6 * ROOM * own.uniform(), t + 60.0 + 1740.0 * own.uniform());
            }
            breath(t) + if t < until { height } else { 0.0 }
        })
    });
}

/// Steadily until it is full.
#[test]
fn a_bounded_cache_is_no_leak() {
    accuses_nobody(|series| {
        let (mut breath, full) = (breath(series), series.scale(300.0, 24.0 * HOUR));
        let height = SWING * series.uniform();
        Box::new(move |t| height * (t / full).min(1.0) + breath(t))
    });
}

/// A walk that is drawn back, within half an hour or four.
#[test]
fn page_cache_is_no_leak() {
    accuses_nobody(|series| {
        let mut breath = breath(series);
        let memory = (-10.0 / series.scale(0.5 * HOUR, 4.0 * HOUR)).exp();
        let mut walk = series.autoregression(memory, SWING / 5.0);
        Box::new(move |t| walk(t).clamp(-SWING / 2.0, SWING / 2.0) + breath(t))
    });
}

/// Reaches the limit after so many hours, beside noise.
fn leak(hours: f64, memory: f64, deviation: f64) -> impl Fn(&mut Series) -> Memory {
    move |series| {
        let mut noise = series.autoregression(memory, deviation);
        Box::new(move |t| ROOM * t / (hours * HOUR) + noise(t))
    }
}

#[test]
fn a_leak_is_found_in_the_short_window() {
    finds_every(6.0, 0.4, leak(6.0, 0.95, 2.0 * MIB));
    finds_every(6.0, 0.3, leak(6.0, 0.99, 2.0 * MIB));
}

/// 3.5 MiB/h.
#[test]
fn a_leak_is_found_in_a_day() {
    finds_every(18.3, 0.3, leak(18.3, 0.95, 2.0 * MIB));
    finds_every(18.3, 0.3, leak(18.3, 0.99, 2.0 * MIB));
}

/// 0.9 MiB/h: in two hours less than the noise.
#[test]
fn a_slow_leak_is_found_in_the_long_window() {
    finds_every(72.0, 0.1, leak(72.0, 0.99, 2.0 * MIB));
}

/// A session of 0.9 MiB that stays behind, every few minutes: at random, so that the leak itself wanders.
#[test]
fn a_stair_is_found() {
    finds_every(6.0, 0.25, |series| {
        let mut noise = series.autoregression(0.99, MIB);
        let mut own = Series::new((series.uniform() * 1e15) as u64);
        let pause = 0.9 * MIB / ROOM * 6.0 * HOUR;
        let (mut level, mut next) = (0.0, 0.0);
        Box::new(move |t| {
            if t >= next {
                level += 0.9 * MIB;
                next = t - pause * (1.0 - own.uniform()).ln();
            }
            level + noise(t)
        })
    });
}
