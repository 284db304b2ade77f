//! Reports of one run of an application are one story.

use super::report::{Dead, Hook, Point, Report, Snapshot, Tracked, Verdict};

/// One process, from its start to its last report.
#[derive(Debug)]
pub struct Run {
    /// In the order in which they were written; there is at least one.
    pub reports: Vec<Report>,
}

/// Parts reports, which are in the order in which they were written, where a process ends: another
/// application, another process, or a clock of the run that has begun anew, as it does where a process
/// becomes a new launcher.
pub fn part(reports: Vec<Report>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for report in reports {
        match runs.last_mut() {
            Some(run) if run.goes_on_with(&report) => run.reports.push(report),
            _ => runs.push(Run { reports: vec![report] }),
        }
    }
    runs
}

impl Run {
    fn goes_on_with(&self, report: &Report) -> bool {
        let last = self.last();
        // Clocks of devices jump: another time of the start tells a new run only where one may have ended.
        let started = |report: &Report| Some(report.time? as f64 - report.uptime);
        let other_start = match (started(last), started(report)) {
            (Some(last), Some(next)) => (last - next).abs() > 60.0,
            _ => false,
        };
        last.file.parent() == report.file.parent()
            && last.app == report.app
            && last.version.0 == report.version.0
            && last.process == report.process
            && last.last_exit == report.last_exit
            && last.uptime <= report.uptime
            && !(last.reason == "hard" && other_start)
    }

    /// The youngest report.
    pub fn last(&self) -> &Report {
        &self.reports[self.reports.len() - 1]
    }

    /// The youngest value that is known.
    fn latest<T>(&self, of: impl Fn(&Report) -> Option<T>) -> Option<T> {
        self.reports.iter().rev().find_map(of)
    }

    /// Everything that was measured, in order: the timelines, and the moments of the reports themselves.
    pub fn points(&self) -> Vec<Point> {
        let mut points: Vec<Point> = Vec::new();
        for report in &self.reports {
            points.extend(&report.timeline.0);
            points.push(Point { at: report.uptime, sizes: report.sizes });
        }
        points.retain(|point| point.at.is_finite() && point.at >= 0.0);
        points.sort_by(|a, b| a.at.total_cmp(&b.at));
        points.dedup_by(|later, earlier| later == earlier);
        points
    }

    /// The last verdict of each kind, alarms first.
    pub fn verdicts(&self) -> Vec<&Verdict> {
        let mut verdicts: Vec<&Verdict> = Vec::new();
        for verdict in self.reports.iter().rev().flat_map(|report| &report.verdicts.0) {
            if verdicts.iter().all(|known| known.kind != verdict.kind) {
                verdicts.push(verdict);
            }
        }
        verdicts.sort_by_key(|verdict| !verdict.alarm);
        verdicts
    }

    /// The scores, those that gave most first.
    pub fn hooks(&self) -> Vec<Hook> {
        let known =
            |report: &Report| Some(report.hooks.0.clone()).filter(|hooks| !hooks.is_empty());
        let mut hooks = self.latest(known).unwrap_or_default();
        hooks.sort_by_key(|hook| (hook.useless, std::cmp::Reverse(hook.bytes)));
        hooks
    }

    pub fn dead(&self) -> Vec<Dead> {
        let known = |report: &Report| Some(report.dead.0.clone()).filter(|dead| !dead.is_empty());
        self.latest(known).unwrap_or_default()
    }

    pub fn tracked(&self) -> Vec<Tracked> {
        let known =
            |report: &Report| Some(report.tracked.0.clone()).filter(|list| !list.is_empty());
        self.latest(known).unwrap_or_default()
    }

    pub fn snapshot(&self) -> Option<&Snapshot> {
        self.reports.iter().rev().find_map(|report| report.snapshot.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(process: u64, uptime: f64) -> Report {
        Report { app: "a".into(), process: Some(process), uptime, ..Report::default() }
    }

    fn lengths(reports: Vec<Report>) -> Vec<usize> {
        part(reports).iter().map(|run| run.reports.len()).collect()
    }

    #[test]
    fn a_process_that_becomes_a_new_launcher_begins_a_run() {
        assert_eq!(lengths(vec![report(1, 5.0), report(1, 9.0), report(1, 2.0)]), [2, 1]);
        assert_eq!(lengths(vec![report(1, 5.0), report(2, 9.0)]), [1, 1]);
        let mut again = report(1, 9.0);
        again.last_exit = Some("memory".into());
        assert_eq!(lengths(vec![report(1, 5.0), again]), [1, 1]);
        let at = |time: u64, uptime: f64, reason: &str| Report {
            time: Some(time),
            reason: reason.into(),
            ..report(1, uptime)
        };
        assert_eq!(lengths(vec![at(1000, 50.0, "hard"), at(2000, 90.0, "soft")]), [1, 1]);
        assert_eq!(lengths(vec![at(1000, 50.0, "hard"), at(1040, 90.0, "soft")]), [2]);
        assert_eq!(lengths(vec![at(1000, 50.0, "soft"), at(9_000_000, 90.0, "soft")]), [2]);
        let mut other = report(1, 9.0);
        other.file = "other/memory-000001-soft.json".into();
        assert_eq!(lengths(vec![report(1, 5.0), other]), [1, 1]);
    }

    #[test]
    fn timelines_that_overlap_are_one() {
        let point = |at: f64, rss: u64| {
            let mut point = Point { at, ..Point::default() };
            point.sizes.rss = Some(rss);
            point
        };
        let with = |uptime: f64, points: &[Point]| {
            let mut report = report(1, uptime);
            report.timeline.0 = points.to_vec();
            report
        };
        let (a, b, c) = (point(10.0, 1), point(20.0, 2), point(30.0, 3));
        let mut runs = part(vec![with(25.0, &[a, b]), with(35.0, &[b, c, point(f64::NAN, 1)])]);
        let points = runs.remove(0).points();
        let times: Vec<f64> = points.iter().map(|point| point.at).collect();
        assert_eq!(times, [10.0, 20.0, 25.0, 30.0, 35.0]);
    }
}
