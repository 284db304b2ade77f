//! The interpreter's side: what is inside libpython, and what of its folders is no standard library.

use super::{Kind, Module, Origin, Tree};
use crate::dist::resolve::Plan;

/// Whether a name directly inside the folder of the standard library is none of it.
pub fn skips(name: &str) -> bool {
    matches!(
        name,
        "site-packages"
            | "dist-packages"
            | "lib-dynload"
            | "ensurepip"
            | "sitecustomize.py"
            | "usercustomize.py"
    ) || name.starts_with("config-")
}

/// Marks what is imported from libpython, whatever a folder has under that name. Frozen modules keep
/// their source file, because their imports are in it.
pub fn interpreter(plan: &Plan, tree: &mut Tree) {
    let interpreter = &plan.interpreter;
    for name in interpreter.builtins.iter().chain(&interpreter.frozen) {
        let frozen = interpreter.frozen.contains(name);
        let hidden = tree.modules.remove(name);
        if let Some(module) = hidden.as_ref().filter(|module| module.origin != Origin::Stdlib) {
            let note = format!("{name} of {} is hidden by the interpreter's own", module.origin);
            tree.notes.push(note);
        }
        if let Some(module) = &hidden {
            tree.objects.remove(&module.path);
        }
        let source = interpreter.stdlib.join(format!("{}.py", name.replace('.', "/")));
        let package = interpreter.stdlib.join(format!("{}/__init__.py", name.replace('.', "/")));
        let file = match hidden {
            Some(module) if module.origin == Origin::Stdlib => module.file,
            _ => [source, package.clone()].into_iter().find(|file| file.is_file()),
        };
        let module = Module {
            kind: Kind::Interpreter,
            package: frozen && file.as_deref() == Some(package.as_path()),
            file: file.filter(|_| frozen),
            path: String::new(),
            origin: Origin::Stdlib,
        };
        tree.modules.insert(name.clone(), module);
    }
    match plan.link.is_system() {
        true => leave_to_device(tree),
        // It is about the device's standard library.
        false => drop(tree.modules.remove("_pyrmware_runtime.stdlib")),
    }
}

/// The device has the standard library: its modules are like frozen ones, and its files nobody's business.
fn leave_to_device(tree: &mut Tree) {
    for module in tree.modules.values_mut().filter(|module| module.origin == Origin::Stdlib) {
        tree.objects.remove(&module.path);
        if module.kind != Kind::Source && module.kind != Kind::Interpreter {
            module.file = None;
        }
        module.kind = Kind::Interpreter;
        module.path.clear();
    }
    for files in [&mut tree.resources, &mut tree.libraries] {
        files.retain(|path, file| {
            let stays = file.origin != Origin::Stdlib;
            if !stays {
                tree.objects.remove(path);
            }
            stays
        });
    }
}
