//! systemd, which limits the application's memory, watches it, and says how it ended.

use serde_json::{Value, json};

use crate::folder;
use crate::image;
use crate::vm::Vm;

fn ended(vm: &mut Vm) -> Value {
    let mut ended = vm.event("ended");
    ended.as_object_mut().expect("an object").remove("event");
    ended
}

#[test]
#[ignore = "needs virtual machines: cargo xtask test --device-image"]
fn memory_under_systemd() {
    let data = image::data(folder(), "systemd");
    let acts = "acts=init:grow,report:overrun,report:overrun";
    let options = format!("init=/usr/lib/systemd/systemd systemd.unit=guest.service {acts}");
    let mut vm = Vm::start("systemd", crate::image(), &data, &options);
    vm.event("boot");

    // What the unit's `MemoryMax=` says is what there is.
    let start = vm.starts("grow");
    assert_eq!(start["limit"], (32 << 20).to_string());
    assert_eq!(vm.event("asked")["level"], 10);
    vm.says("is over the hard limit of 25.6 MiB: ");
    assert_eq!(ended(&mut vm), json!({"result": "exit-code", "code": "exited", "status": "75"}));

    vm.starts("overrun");
    assert_eq!(ended(&mut vm), json!({"result": "oom-kill", "code": "killed", "status": "KILL"}));
    vm.starts("overrun");
}
