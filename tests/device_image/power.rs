//! Power cuts while reports are written.

use std::fs;
use std::thread;
use std::time::Duration;

use crate::device::{self, Vm};
use crate::folder;
use crate::reports::Reports;

/// So often the power is cut.
const CUTS: u32 = 40;
/// The moments of the cuts are this far apart.
const STEP: Duration = Duration::from_micros(250);
/// So many reports are kept; the oldest goes when a new one is there.
const KEPT: usize = 10;

/// The moment of a cut: when a report is asked for, or when there is one that is not finished.
fn moment(vm: &mut Vm, event: &str) {
    let wanted = format!("{{\"event\": \"{event}\"");
    vm.find(&wanted, |line| line.contains(&wanted).then_some(()));
}

#[test]
#[ignore = "needs virtual machines: cargo xtask test --device-image"]
fn reports_survive_power_cuts() {
    let data = device::data(folder(), "power");
    // Of one reason no run writes more than four in an hour: there are many runs.
    let acts = ["init:reports"; CUTS as usize].join(",");
    let options = format!("init=/sbin/init acts={acts}");
    let mut vm = Vm::start("power", crate::image(), &data, &options);
    assert_eq!(vm.event("boot")["boot"], 1);
    // A disk on which a report was not finished.
    let torn = folder().join("data-torn.ext4");
    let (mut youngest, mut halfway) = (0, 0);
    for cut in 0..CUTS {
        moment(&mut vm, if cut % 3 == 0 { "asks" } else { "writes" });
        thread::sleep(STEP * cut);
        let reports = vm.freeze(|| {
            let reports = Reports::on(&data);
            if !reports.aside.is_empty() {
                fs::copy(&data, &torn).expect("it is copied");
            }
            reports
        });
        for report in reports.whole.values() {
            assert_eq!(
                (&report["app"], &report["reason"]),
                (&"guest".into(), &"signal".into()),
                "{report}"
            );
        }
        // What was there once stays, but for the oldest.
        assert!(reports.youngest() >= youngest, "{} after {youngest}", reports.youngest());
        youngest = reports.youngest();
        assert!(reports.whole.len() <= KEPT + 1, "{:?}", reports.whole.keys());
        assert!(reports.aside.len() <= 1, "{:?}", reports.aside);
        halfway += reports.aside.len();
    }
    vm.progress(format_args!(
        "{CUTS} cuts, {halfway} of them through a report, {youngest} reports"
    ));
    // Else nothing was tried.
    assert!(halfway > 0, "no cut went through a report: {vm}");
    drop(vm);

    // The kernel mounts such a disk, and the launcher, as another process, goes on and leaves no litter.
    let left = Reports::on(&torn);
    let options = "init=/sbin/init acts=init:pass,init:reports";
    let mut vm = Vm::start("power", crate::image(), &torn, options);
    assert_eq!(vm.event("boot")["boot"], 2);
    vm.starts("pass");
    vm.starts("reports");
    vm.event("end");
    let now = vm.freeze(|| Reports::on(&torn));
    assert!(now.youngest() > left.youngest(), "{} after {}", now.youngest(), left.youngest());
    assert!(now.aside.is_empty(), "{:?} after {:?}: {vm}", now.aside, left.aside);
}
