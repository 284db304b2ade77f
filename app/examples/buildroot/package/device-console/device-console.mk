################################################################################
#
# device-console
#
################################################################################

DEVICE_CONSOLE_VERSION = 1.0.0
DEVICE_CONSOLE_SOURCE = device-console-$(DEVICE_CONSOLE_VERSION).tar.xz
# Where you keep what app/examples/bundle.sh has written.
DEVICE_CONSOLE_SITE = https://example.com/sources
DEVICE_CONSOLE_LICENSE = MIT or Apache-2.0, others in licenses.txt
DEVICE_CONSOLE_LICENSE_FILES = LICENSE
DEVICE_CONSOLE_INSTALL_IMAGES = YES
DEVICE_CONSOLE_DEPENDENCIES = \
	host-python-pip \
	host-python3 \
	host-rustc \
	python3

# Two environments: xtask is for the machine that builds, and stays there. PKG_CARGO_ENV
# has the device's linker and flags.
define DEVICE_CONSOLE_BUILD_CMDS
	rm -rf $(@D)/packages $(@D)/tree
	cd $(@D) && \
	$(HOST_MAKE_ENV) $(HOST_CONFIGURE_OPTS) $(HOST_PKG_CARGO_ENV) \
		cargo build --frozen --package xtask
	cd $(@D) && \
	$(TARGET_MAKE_ENV) $(PKG_CARGO_ENV) \
	PYRMWARE_RESOLVER=pip PIP_FIND_LINKS=$(@D)/wheels \
		target/debug/xtask package --format tar --frozen \
			--target $(RUSTC_TARGET_NAME) --python $(STAGING_DIR)/usr \
			--out $(@D)/image --to $(@D)/packages
	mkdir $(@D)/tree
	tar -C $(@D)/tree --no-same-owner -xf $(@D)/packages/*.tar.gz
endef

define DEVICE_CONSOLE_INSTALL_TARGET_CMDS
	for folder in bin lib; do \
		test ! -d $(@D)/tree/usr/$$folder || \
			cp -a $(@D)/tree/usr/$$folder $(TARGET_DIR)/usr/; \
	done
endef

define DEVICE_CONSOLE_INSTALL_INIT_SYSTEMD
	$(INSTALL) -D -m 0644 \
		$(@D)/tree/usr/share/device-console/init/systemd/device-console.service \
		$(TARGET_DIR)/usr/lib/systemd/system/device-console.service
endef

define DEVICE_CONSOLE_INSTALL_INIT_SYSV
	$(INSTALL) -D -m 0755 \
		$(@D)/tree/usr/share/device-console/init/sysv/device-console \
		$(TARGET_DIR)/etc/init.d/S95device-console
endef

define DEVICE_CONSOLE_INSTALL_INIT_OPENRC
	$(INSTALL) -D -m 0755 \
		$(@D)/tree/usr/share/device-console/init/openrc/device-console \
		$(TARGET_DIR)/etc/init.d/device-console
endef

define DEVICE_CONSOLE_USERS
	device-console -1 device-console -1 * / - - Device console
endef

# Bills of materials and licences beside the image; symbols is what reads tracebacks of
# the field.
define DEVICE_CONSOLE_INSTALL_IMAGES_CMDS
	mkdir -p $(BINARIES_DIR)/device-console
	cp -a $(@D)/image/*.json $(@D)/image/licenses.txt $(@D)/image/symbols \
		$(BINARIES_DIR)/device-console/
endef

$(eval $(generic-package))

# python3 can be built for the launcher only together with what it installs.
ifeq ($(BR2_PACKAGE_DEVICE_CONSOLE_REMOVE_PYTHON),y)
define DEVICE_CONSOLE_REMOVE_PYTHON
	rm -rf $(TARGET_DIR)/usr/lib/python$(PYTHON3_VERSION_MAJOR)
	rm -f $(TARGET_DIR)/usr/bin/python* $(TARGET_DIR)/usr/lib/libpython3*
endef
DEVICE_CONSOLE_TARGET_FINALIZE_HOOKS += DEVICE_CONSOLE_REMOVE_PYTHON
endif
