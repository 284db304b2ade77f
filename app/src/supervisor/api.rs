//! The launcher's side of the package `pyrmware`: what the application says of itself.

use super::{notify, pulse, restart, sys};
use crate::object::{Obj, Py, function, import};
use crate::update;

/// Offers what the package asks for.
///
/// # Errors
/// An exception is set.
pub fn install() -> Py<()> {
    let native = import("_pyrmware")?;
    native.set_attr("ready", &function!("ready", ready, &native)?)?;
    native.set_attr("heartbeat", &function!("heartbeat", heartbeat, &native)?)?;
    native.set_attr("reloading", &function!("reloading", reloading, &native)?)?;
    native.set_attr("stopping", &function!("stopping", stopping, &native)?)
}

/// From here on this process is the application: a child of it does not speak for it.
///
/// # Errors
/// An exception is set.
pub fn begin_to_speak() -> Py<()> {
    let detach = function!("detach", detach, &import("_pyrmware")?)?;
    let register = import("posix")?.attr("register_at_fork")?;
    let names = Obj::tuple(&[&Obj::str("after_in_child")?])?;
    register.call_with(&[&detach], Some((&names, 1))).map(drop)
}

fn detach(_: &[Obj]) -> Py {
    pulse::detach();
    update::be_silent();
    notify::be_silent();
    Ok(Obj::none())
}

fn heartbeat(_: &[Obj]) -> Py {
    pulse::beat();
    Ok(Obj::none())
}

fn ready(args: &[Obj]) -> Py {
    // To be ready is progress, too.
    pulse::beat();
    if !notify::has_parent() {
        update::settle();
    }
    notify::tell(&format!("READY=1{}", status(args)));
    Ok(Obj::none())
}

fn reloading(args: &[Obj]) -> Py {
    let at = sys::monotonic().as_micros();
    notify::tell(&format!("RELOADING=1\nMONOTONIC_USEC={at}{}", status(args)));
    Ok(Obj::none())
}

fn stopping(args: &[Obj]) -> Py {
    let grace = restart::grace().as_micros();
    notify::tell(&format!("STOPPING=1\nEXTEND_TIMEOUT_USEC={grace}{}", status(args)));
    Ok(Obj::none())
}

/// A line more for the status that was given; one line, for what follows would be other messages.
fn status(args: &[Obj]) -> String {
    let text = args.first().and_then(Obj::plain);
    let line = |text: &str| format!("\nSTATUS={}", text.replace(['\n', '\r'], " "));
    text.map(line).unwrap_or_default()
}
