//! `Config -> Model`: what all formats say, checked; then the tree that they install.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::contents::Contents;
use super::depends;
use super::image::Image;
use super::init;
use super::service::Service;
use super::version;
use crate::config::{Config, Format, Init, Package, is_package};
use crate::dist::collect::names;
use crate::dist::report;

/// What all formats say.
#[derive(Debug)]
pub struct Model {
    /// Of the package, the service and its folders.
    pub name: String,
    /// One line.
    pub summary: String,
    /// An SPDX expression, or empty.
    pub license: String,
    /// A web address.
    pub homepage: Option<String>,
    /// The application as a service.
    pub service: Service,
    /// The launcher's file name.
    app: String,
    /// As `[project]` has it.
    version: String,
    maintainer: Option<String>,
    prefix: String,
    package: Package,
    architecture: BTreeMap<Format, String>,
    /// Where all of this is configured, for errors.
    manifest: PathBuf,
}

impl Model {
    /// Puts together what the configuration says.
    ///
    /// # Errors
    /// A name that packages or users cannot have, or a socket where the user cannot make one.
    pub fn of(config: &Config) -> Result<Model> {
        let (project, package) = (&config.project, &config.device.package);
        let manifest = config.paths.app_manifest();
        let name = package.name.clone().unwrap_or_else(|| names::normalise(&project.name));
        if !is_package(&name) {
            bail!(
                "no package can be named {name}, as the project is; say name = \"…\" in {TABLE} of {}",
                manifest.display()
            );
        }
        let summary = package.description.clone().unwrap_or_else(|| {
            project.description.split_whitespace().collect::<Vec<_>>().join(" ")
        });
        let summary = if summary.is_empty() { project.name.clone() } else { summary };
        let prefix = package.prefix.clone().unwrap_or_else(|| "/usr".to_owned());
        let command = format!("{prefix}/bin/{}", project.name);
        Ok(Model {
            service: Service::of(config, &name, &summary, command)?,
            app: project.name.clone(),
            version: project.version.clone(),
            license: package.license.clone().unwrap_or_else(|| project.license.clone()),
            maintainer: package.maintainer.clone().or_else(|| project.maintainer.clone()),
            homepage: package.homepage.clone(),
            package: package.clone(),
            architecture: config.device.architecture.clone(),
            name,
            summary,
            prefix,
            manifest,
        })
    }

    /// Whether this format can say it.
    ///
    /// # Errors
    /// Something that it needs is not configured, or something that is it cannot express.
    pub fn check(&self, format: Format) -> Result<()> {
        version::mapped(&self.version, format)?;
        self.inits(format)?;
        match format {
            Format::Deb | Format::Ipk | Format::Rpm => drop(self.maintainer(format)?),
            Format::Tar | Format::Apk => {}
        }
        if format == Format::Rpm && self.license.is_empty() {
            bail!(
                "an rpm names its licence; say license = \"MIT\" or the like in [project], or in \
                 {TABLE} of {}",
                self.manifest.display()
            );
        }
        Ok(())
    }

    /// `Name <address>`.
    ///
    /// # Errors
    /// Nobody is named.
    pub fn maintainer(&self, format: Format) -> Result<&str> {
        self.maintainer.as_deref().with_context(|| {
            format!(
                "packages of the format {} name who made them; say maintainer = \"Name <address>\" in \
                 {TABLE} of {}, or maintainers or authors with name and email in [project]",
                format.name(),
                self.manifest.display()
            )
        })
    }

    /// The same, where nobody has to be named.
    pub fn maintainer_if_any(&self) -> Option<&str> {
        self.maintainer.as_deref()
    }

    /// The version as the format writes it, without an epoch.
    ///
    /// # Errors
    /// The format has no way to write it.
    pub fn version_for(&self, format: Format) -> Result<String> {
        version::mapped(&self.version, format)
    }

    /// The version's epoch.
    ///
    /// # Errors
    /// It is no version.
    pub fn epoch(&self) -> Result<u64> {
        version::epoch(&self.version)
    }

    /// The machine as the format calls it.
    ///
    /// # Errors
    /// There are many names for it, of which one has to be chosen.
    pub fn architecture(&self, format: Format, image: &Image) -> Result<String> {
        if let Some(name) = self.architecture.get(&format) {
            return Ok(name.clone());
        }
        let failed = || {
            format!(
                "it is not known what {} calls {}; say architecture.{} = \"…\" in \
                 [package.metadata.pyrmware.device.NAME] of {}",
                format.name(),
                image.target(),
                format.name(),
                self.manifest.display()
            )
        };
        image.machine(format).map(str::to_owned).with_context(failed)
    }

    /// Who starts it where a package of this format is installed.
    ///
    /// # Errors
    /// One of them cannot, or two want the same file.
    pub fn inits(&self, format: Format) -> Result<Vec<Init>> {
        let key = || format!("init.{} in {TABLE} of {}", format.name(), self.manifest.display());
        if let Some(inits) = self.package.init.get(&format) {
            if let Some(why) = inits.iter().find_map(|init| self.service.unable(*init)) {
                bail!("{why}; remedy: user = \"root\", or without it in {}", key());
            }
            if inits.iter().filter(|init| **init != Init::Systemd).count() > 1 {
                bail!(
                    "two of {} are the file /etc/init.d/{}; remedy: one of sysv, openrc and procd",
                    key(),
                    self.name
                );
            }
            return Ok(inits.clone());
        }
        match format {
            Format::Tar => Ok(Vec::new()),
            Format::Rpm => Ok(vec![Init::Systemd]),
            // Where there is systemd it is enough; the other one is for whoever has none.
            Format::Deb => {
                let able = |init: &Init| self.service.unable(*init).is_none();
                Ok([Init::Systemd, Init::Sysv].into_iter().filter(able).collect())
            }
            Format::Ipk | Format::Apk => {
                let init = if format == Format::Ipk { Init::Procd } else { Init::Openrc };
                match self.service.unable(init) {
                    None => Ok(vec![init]),
                    Some(why) => bail!("{why}; remedy: user = \"root\", or {} = []", key()),
                }
            }
        }
    }

    /// What it depends on, and a warning for each library of which that is not known.
    pub fn depends(&self, image: &Image, format: Format) -> (Vec<String>, Vec<String>) {
        if let Some(depends) = self.package.depends.get(&format) {
            return (depends.clone(), Vec::new());
        }
        if format == Format::Apk {
            // OpenWrt's packages are asked for by their names, not by libraries.
            if !self.inits(format).is_ok_and(|inits| inits.contains(&Init::Openrc)) {
                return (Vec::new(), Vec::new());
            }
            if image.glibc.is_some() {
                let note = "Alpine has musl, and this launcher is for glibc: apk installs it where \
                            something provides so:libc.so.6, and nowhere else";
                return (depends::found(image, format).depends, vec![note.to_owned()]);
            }
        }
        let found = depends::found(image, format);
        let note = |library: &String| {
            format!(
                "it is not known which package has {library}, so that the {} does not ask for it; say \
                 depends.{} = [\"…\"] in {TABLE}, with all that it needs",
                format.name(),
                format.name()
            )
        };
        let notes = found.unknown.iter().map(note).collect();
        (found.depends, notes)
    }

    /// The tree that a package of this format installs.
    ///
    /// # Errors
    /// A file of the image cannot be read.
    pub fn contents(&self, image: &Image, format: Format) -> Result<Contents> {
        let mut contents = Contents::default();
        let (prefix, name, app) = (&self.prefix, &self.name, &self.app);
        if image.sidecars.is_empty() {
            contents.file(&format!("{prefix}/bin/{app}"), 0o755, image.bytes(app)?);
        } else {
            // The launcher looks for them beside itself, wherever a link to it is.
            let folder = format!("{prefix}/lib/{name}");
            contents.file(&format!("{folder}/{app}"), 0o755, image.bytes(app)?);
            for file in &image.sidecars {
                contents.file(&format!("{folder}/{file}"), 0o644, image.bytes(file)?);
            }
            contents.link(&format!("{prefix}/bin/{app}"), &format!("../lib/{name}/{app}"));
        }
        let docs = format!("{prefix}/share/doc/{name}");
        let licenses = String::from_utf8_lossy(&image.bytes(report::LICENSES)?).into_owned();
        contents.file(&format!("{docs}/copyright"), 0o644, self.copyright(&licenses));
        for bill in [format!("{app}.cdx.json"), format!("{app}.spdx.json")] {
            contents.file(&format!("{docs}/{bill}"), 0o644, image.bytes(&bill)?);
        }
        for init in self.inits(format)? {
            init::install(&mut contents, &self.service, init);
        }
        if format == Format::Tar {
            let folder = format!("{prefix}/share/{name}/init");
            for init in Init::ALL.into_iter().filter(|it| self.service.unable(*it).is_none()) {
                init::show(&mut contents, &self.service, init, &folder);
            }
        }
        Ok(contents)
    }

    /// All licences, in the form that Debian's tools read and people do, too.
    fn copyright(&self, licenses: &str) -> String {
        let license = if self.license.is_empty() { "unknown" } else { &self.license };
        let holder = self.maintainer.as_deref().unwrap_or(&self.app);
        let text: String = licenses
            .lines()
            .map(|line| match line.trim_end() {
                "" => " .\n".to_owned(),
                line => format!(" {line}\n"),
            })
            .collect();
        format!(
            "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\
             Upstream-Name: {}\n\nFiles: *\nCopyright: {holder}, and the holders that are named below\n\
             License: {license}\n{text}",
            self.app
        )
    }
}

/// Where what packages say is configured.
const TABLE: &str = "[package.metadata.pyrmware.package]";

/// Whether a path is one of a configuration that an upgrade must leave alone.
pub fn is_configuration(path: &str) -> bool {
    Path::new(path).starts_with("etc")
}
