//! What goes with the kept modules: resources, libraries, metadata.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

use super::Graph;
use super::reach::Reached;
use crate::dist::collect::{Kind, Object, Origin, Resource, Tree, device};
use crate::dist::resolve::Plan;

/// Leaves only what ships: kept modules (and those inside libpython, which are known but do not ship),
/// their resources and libraries.
pub fn only_kept(mut graph: Graph, reached: &Reached) -> Graph {
    let kept = |name: &str| reached.contains_key(name);
    let named: BTreeSet<String> = graph
        .metadata
        .iter()
        .filter(|(importer, _)| kept(importer))
        .flat_map(|(_, distributions)| distributions.clone())
        .collect();
    graph.tree.modules.retain(|name, module| module.kind == Kind::Interpreter || kept(name));
    graph.edges.retain(|name, _| kept(name));
    graph.cuts.retain(|name, _| kept(name));
    graph.missing.retain(|name, _| kept(name));
    graph.dynamic.retain(|name, _| kept(name));
    graph.hazards.retain(|name, _| kept(name));
    graph.metadata.retain(|name, _| kept(name));
    graph.unparsable.retain(|name, _| kept(name));

    let tree = &mut graph.tree;
    let shipping: BTreeSet<&Origin> = tree
        .modules
        .values()
        .filter(|module| module.kind != Kind::Namespace)
        .map(|module| &module.origin)
        .collect();
    let ships = |resource: &Resource| match (&resource.package, &resource.origin) {
        (Some(package), _) => kept(package),
        (None, Origin::Dependency(name)) => {
            shipping.contains(&resource.origin) || named.contains(name)
        }
        (None, Origin::Application | Origin::Runtime) => true,
        (None, Origin::Stdlib) => false,
    };
    // A dependency's source file that may be a template is one only if it is not the module.
    let sources: BTreeSet<&String> = tree.modules.values().map(|module| &module.path).collect();
    tree.resources.retain(|path, resource| {
        let module = sources.contains(path) && matches!(resource.origin, Origin::Dependency(_));
        ships(resource) && !module
    });
    keep_libraries(tree, &kept);
    let installed: Vec<String> = tree
        .distributions
        .iter()
        .filter(|(_, found)| tree.resources.contains_key(&format!("{}/METADATA", found.info)))
        .map(|(name, _)| name.clone())
        .collect();
    tree.distributions.retain(|name, _| installed.contains(name));
    graph
}

/// Keeps the libraries that kept extension modules need, and those that nobody's headers ask for but
/// whose distribution ships: they are loaded by name (`ctypes`, `dlopen`).
fn keep_libraries(tree: &mut Tree, kept: &dyn Fn(&str) -> bool) {
    let mut needed = BTreeSet::new();
    for module in tree.modules.values().filter(|module| module.kind == Kind::Extension) {
        needed.extend(tree.preloads(&module.path));
    }
    let asked: BTreeSet<&String> =
        tree.objects.values().flat_map(|object| object.needed.iter()).collect();
    let by_name: Vec<String> = tree
        .sonames()
        .into_iter()
        .filter(|(soname, path)| {
            let library = &tree.libraries[path];
            let origin = &library.origin;
            let ships = match &library.package {
                Some(package) => kept(package),
                None => tree.modules.values().any(|module| module.origin == *origin),
            };
            ships && !asked.contains(soname)
        })
        .map(|(_, path)| path)
        .collect();
    for path in by_name {
        needed.extend(tree.preloads(&path));
        needed.insert(path);
    }
    tree.libraries.retain(|path, _| needed.contains(path));
    let modules: BTreeSet<&String> = tree.modules.values().map(|module| &module.path).collect();
    tree.objects.retain(|path, _| modules.contains(path) || needed.contains(path));
}

/// Refuses shared objects that cannot be loaded on the device.
///
/// # Errors
/// With the module, its distribution and the cause.
pub fn check_objects(plan: &Plan, tree: &Tree) -> Result<()> {
    let cross = plan.cross.as_ref();
    let device = cross.map(|cross| device::Libraries::new(&cross.folders, &plan.target));
    let bundled = tree.sonames();
    let fault = |object: &Object| {
        let own = object.fault.clone();
        own.or_else(|| device.as_ref().and_then(|device| device.fault(object, &bundled)))
    };
    let named = tree
        .modules
        .iter()
        .filter(|(_, module)| module.kind == Kind::Extension)
        .map(|(name, module)| (name, &module.path, &module.origin))
        .chain(tree.libraries.iter().map(|(path, library)| (path, path, &library.origin)));
    for (name, path, origin) in named {
        if let Some(fault) = tree.objects.get(path).and_then(fault) {
            bail!(
                "{name} of {origin} cannot be loaded on the device: {fault}; \
                 drop it with [tool.pyrmware.prune] drop, or install {origin} for the target"
            );
        }
    }
    Ok(())
}
