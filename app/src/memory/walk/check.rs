//! The self-test: a small object graph that is known, walked once before the first snapshot. What it
//! finds out about the layout of frames and instances is used from then on; if the paths are not those
//! that must come out, no path is ever told, and types are counted only.

use std::sync::OnceLock;

use super::layout::Layout;
use super::roots::{Roots, live};
use crate::log;
use crate::memory::snapshot::{Request, Running};
use crate::object::{Obj, Py, import, without_exception};

const MODULE: &str = "_pyrmware_runtime.graph";

static LAYOUT: OnceLock<Option<Layout>> = OnceLock::new();

/// The layout of this interpreter's objects; none: the self-test has failed.
pub fn layout() -> Option<Layout> {
    if let Some(layout) = LAYOUT.get() {
        return *layout;
    }
    let mut result = Err("it did not run".to_owned());
    without_exception(|| {
        result = test()?;
        Ok(())
    });
    if let Err(why) = &result {
        let text = format!(
            "who holds memory is not told, types are counted only: the self-test failed: {why}"
        );
        log::line(log::Priority::Warning, &text);
    }
    *LAYOUT.get_or_init(|| result.ok())
}

fn test() -> Py<Result<Layout, String>> {
    let module = import(MODULE)?;
    let layout = find(&module.attr("probe")?.call(&[])?)?;
    if !layout.complete() {
        return Ok(Err("frames or instances are not as they are known".to_owned()));
    }
    let alone = Obj::dict()?;
    alone.set_item("graph", &module)?;
    let kept = module.attr("build")?.call(&[])?;
    let expected = module.attr("EXPECTED")?.items()?;
    let request = Request {
        types: vec![format!("{MODULE}.Leaf")],
        enough: expected.len(),
        seconds: 10,
        ..Request::default()
    };
    let roots = Roots::only(alone);
    let running = Running::start(&request, &roots, layout);
    let found = running.and_then(Running::wait);
    module.attr("clear")?.call(&[])?;
    drop(kept);
    let found = match found {
        Ok(found) => found,
        Err(why) => return Ok(Err(why)),
    };
    let mut signatures: Vec<String> =
        found.holders.groups().map(|group| group.signature()).collect();
    signatures.sort();
    let mut wanted = Vec::new();
    for text in &expected {
        wanted.push(text.to_str()?.to_owned());
    }
    wanted.sort();
    if signatures == wanted {
        return Ok(Ok(layout));
    }
    let missing = wanted.iter().find(|text| !signatures.contains(text));
    let strange = signatures.iter().find(|text| !wanted.contains(text));
    Ok(Err(format!("{:?} is expected, and {:?} found", missing, strange)))
}

fn find(probe: &Obj) -> Py<Layout> {
    let parts = probe.items()?;
    let part = |at: usize| {
        let object = parts.get(at).and_then(live);
        object.ok_or_else(|| crate::object::type_error("the probe lacks a part"))
    };
    Ok(Layout::find(part(0)?, part(1)?, part(2)?, part(3)?, part(4)?, part(5)?))
}
