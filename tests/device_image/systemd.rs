//! systemd, which limits the application's memory, watches it, and says how it ended.

use serde_json::{Value, json};

use crate::device::{self, Vm};
use crate::folder;

fn ended(vm: &mut Vm) -> Value {
    let mut ended = vm.event("ended");
    ended.as_object_mut().expect("an object").remove("event");
    ended
}

#[test]
#[ignore = "needs virtual machines: cargo xtask test --device-image"]
fn service_under_systemd() {
    let data = device::data(folder(), "systemd");
    let acts = "acts=init:grow,report:overrun,report:overrun,zygote:serve,watched:hang,init:pass";
    let options = format!("init=/usr/lib/systemd/systemd systemd.unit=guest.service {acts}");
    let mut vm = Vm::start("systemd", crate::image(), &data, &options);
    vm.event("boot");

    // What the unit's `MemoryMax=` says is what there is.
    let start = vm.starts("grow");
    assert_eq!(start["limit"], (20 << 20).to_string());
    assert_eq!(vm.event("asked")["level"], 10);
    vm.says("is over the hard limit of ");
    assert_eq!(ended(&mut vm), json!({"result": "exit-code", "code": "exited", "status": "75"}));

    vm.starts("overrun");
    assert_eq!(ended(&mut vm), json!({"result": "oom-kill", "code": "killed", "status": "KILL"}));
    // Its control group is another one now, of which nobody knows what was in the one before.
    vm.starts("overrun");
    assert_eq!(ended(&mut vm)["result"], "oom-kill");

    // The socket is systemd's.
    vm.serves_over_a_kill();

    // Its watchdog ends who hangs.
    vm.starts("hang");
    vm.event("hangs");
    let reason = json!({"result": "watchdog", "code": "killed", "status": "ABRT"});
    let said = loop {
        let said = ended(&mut vm);
        if said["result"] != "success" {
            break said;
        }
    };
    assert_eq!(said, reason);
    vm.starts("pass");
}
