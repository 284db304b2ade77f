# Builds the launcher of an application without a network, out of the archive that app/examples/bundle.sh writes, and
# packages it with its service file. xtask is built for the machine that builds, and stays there.

inherit cargo systemd update-rc.d useradd deploy

# The launcher embeds the device's Python, of which nothing has to be in the image. cargo brings python3-native, which
# compiles for it; pip installs the wheels.
DEPENDS += "python3 python3-pip-native"

# As the application's package is called: `package.name` in app/Cargo.toml.
PYRMWARE_NAME ?= "${BPN}"
# What `system_libraries` in report.json lists, each with the package that has it. bitbake cannot look into the
# launcher for what its extension modules need.
PYRMWARE_LIBRARIES ?= ""

SYSTEMD_SERVICE:${PN} = "${PYRMWARE_NAME}.service"
INITSCRIPT_NAME = "${PYRMWARE_NAME}"
INITSCRIPT_PARAMS = "defaults 95 10"
USERADD_PACKAGES = "${PN}"
USERADD_PARAM:${PN} = "--system --user-group --no-create-home --home-dir / --shell /bin/false ${PYRMWARE_NAME}"
RDEPENDS:${PN} += "${@' '.join(sorted(set(pyrmware_libraries(d).values())))}"

# The archive has its crates, and tells cargo so.
CARGO_DISABLE_BITBAKE_VENDORING = "1"
# cargo strips it, and its report has the hash of what was built.
INHIBIT_PACKAGE_STRIP = "1"
INHIBIT_PACKAGE_DEBUG_SPLIT = "1"
INSANE_SKIP:${PN} += "already-stripped"

def pyrmware_libraries(d):
    return dict(pair.split("=") for pair in d.getVar("PYRMWARE_LIBRARIES").split())

pyrmware_do_compile() {
	cd ${S}
	# For the machine that builds: RUSTFLAGS, which are the device's, are not exported yet.
	cargo build --frozen --package xtask

	export RUSTFLAGS="${RUSTFLAGS}"
	export PYRMWARE_RESOLVER=pip PIP_FIND_LINKS=${S}/wheels
	${B}/target/debug/xtask package --format tar --frozen \
		--target ${RUST_HOST_SYS} --python ${STAGING_DIR_TARGET}${prefix} \
		--out ${B}/image --to ${B}/package
}
do_compile[cleandirs] += "${B}/package"

# The self-test of an application that listens takes a loopback device, which tasks without a network do not have.
python pyrmware_loopback() {
    try:
        bb.utils.enable_loopback_networking()
    except PermissionError:
        # The kernel has left the task in the network of the machine.
        pass
}
do_compile[prefuncs] += "pyrmware_loopback"

python pyrmware_check_libraries() {
    import json
    with open(d.expand("${B}/image/report.json")) as file:
        needed = set(json.load(file)["system_libraries"])
    # Those of the C library are found in the launcher itself.
    libc = ("ld-linux", "libc.", "libdl.", "libm.", "libpthread.", "libresolv.", "librt.", "libutil.")
    needed = {name for name in needed if not name.startswith(libc)}
    named = set(pyrmware_libraries(d))
    if needed != named:
        bb.fatal("PYRMWARE_LIBRARIES has to name: %s; it names: %s"
                 % (" ".join(sorted(needed)), " ".join(sorted(named))))
}
do_compile[postfuncs] += "pyrmware_check_libraries"

pyrmware_do_install() {
	tar -C ${D} --no-same-owner -xf ${B}/package/*.tar.gz
	services=${D}${datadir}/${PYRMWARE_NAME}/init
	if ${@bb.utils.contains('DISTRO_FEATURES', 'systemd', 'true', 'false', d)}; then
		install -D -m 0644 $services/systemd/${PYRMWARE_NAME}.service \
			${D}${systemd_system_unitdir}/${PYRMWARE_NAME}.service
	fi
	if ${@bb.utils.contains('DISTRO_FEATURES', 'sysvinit', 'true', 'false', d)}; then
		install -D -m 0755 $services/sysv/${PYRMWARE_NAME} ${D}${INIT_D_DIR}/${PYRMWARE_NAME}
	fi
	rm -r ${D}${datadir}/${PYRMWARE_NAME}
}

# Bills of materials and licences beside the image; symbols/ is what reads tracebacks of the field.
pyrmware_do_deploy() {
	install -d ${DEPLOYDIR}/${PN}
	install -m 0644 ${B}/image/*.json ${B}/image/licenses.txt ${DEPLOYDIR}/${PN}
	tar -C ${B}/image --sort=name --owner=0 --group=0 -czf ${DEPLOYDIR}/${PN}/symbols.tar.gz symbols
}
addtask deploy after do_compile before do_build

EXPORT_FUNCTIONS do_compile do_install do_deploy
