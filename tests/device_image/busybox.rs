//! BusyBox's init, which starts the application again whenever it ends.

use crate::device::{self, Vm};
use crate::folder;
use crate::reports::Reports;

#[test]
#[ignore = "needs virtual machines: cargo xtask test --device-image"]
fn memory_under_busybox() {
    let data = device::data(folder(), "busybox");
    let acts = "exec:grow,init:grow:32M,pressed:squeeze:16M,report:overrun:32M,report:overrun:32M,init:full";
    let options = format!("init=/sbin/init acts={acts}");
    let mut vm = Vm::start("busybox", crate::image(), &data, &options);
    assert_eq!(vm.event("boot")["boot"], 1);

    // Limits are parts of the machine's memory.
    vm.starts_again_in_place();

    // Limits are parts of the control group's. The launcher ends with 75, and init starts the next act.
    let start = vm.starts("grow");
    assert_eq!(start["limit"], (32 << 20).to_string());
    assert!(
        start["pressure"].as_str().is_some_and(|text| text.starts_with("some avg10=")),
        "{start}"
    );
    assert_eq!(vm.event("asked")["level"], 10);
    vm.says("is over the hard limit of ");

    // Below all limits, tasks wait for memory: the kernel tells of pressure.
    vm.starts("squeeze");
    assert_eq!(vm.event("asked")["level"], 10);
    vm.says("memory: pressure: ");
    vm.event("end");

    // The kernel ends it, which nothing can prevent. Init starts it again.
    let start = vm.starts("overrun");
    assert_eq!(start["oom_kills"], 0);
    let again = vm.starts("overrun");
    assert_eq!(again["oom_kills"], 1);
    assert_ne!(again["process"], start["process"]);
    vm.event("end");

    // Where no report can be written the application goes on, and that is told once.
    vm.starts("full");
    let lines = vm.until("end");
    let answers = lines.iter().filter(|line| line.contains(" objects: ")).count();
    assert!(answers > 1, "{vm}");
    let told: Vec<_> =
        lines.iter().filter(|line| line.contains("No space left on device")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("memory: no report can be written to /data/reports: "), "{told:?}");

    // Reports say of what the limits were parts.
    let reports = vm.freeze(|| Reports::on(&data));
    let bytes = |source: &str| {
        let mut ceilings = reports.whole.values().map(|report| &report["ceiling"]);
        ceilings
            .find(|ceiling| ceiling["source"] == source)
            .map(|ceiling| ceiling["bytes"].as_u64())
    };
    assert_eq!(bytes("cgroup"), Some(Some(32 << 20)), "{:?}", reports.whole);
    assert!(bytes("machine") < Some(Some(96 << 20)), "{:?}", reports.whole);
    assert!(bytes("machine") > Some(Some(32 << 20)), "{:?}", reports.whole);
}

#[test]
#[ignore = "needs virtual machines: cargo xtask test --device-image"]
fn service_under_busybox() {
    let data = device::data(folder(), "service");
    let acts = "zygote:grow:32M,zygote:serve:32M,zygote:hang,reset:hang";
    let options = format!("init=/sbin/init acts={acts}");
    let mut vm = Vm::start("service", crate::image(), &data, &options);
    assert_eq!(vm.event("boot")["boot"], 1);

    // The zygote makes a new worker at the hard limit: another process.
    let start = vm.starts("grow");
    assert!(start["last_exit"].is_null(), "{start}");
    assert_eq!(vm.event("asked")["level"], 10);
    assert!(vm.says("is over the hard limit of ").contains(": starts again"));
    let again = vm.starts("grow");
    assert_eq!(again["last_exit"], "memory");
    assert_ne!(again["process"], start["process"]);
    vm.event("end");

    // The socket is the launcher's.
    vm.serves_over_a_kill();

    // Who hangs says where, and is replaced.
    vm.starts("hang");
    vm.event("hangs");
    vm.says("in hang");
    assert_eq!(vm.starts("hang")["last_exit"], "hang");
    vm.event("end");

    // With nobody to replace it, the machine's watchdog resets the machine.
    vm.starts("hang");
    vm.event("hangs");
    assert_eq!(vm.event("boot")["boot"], 2);
}
