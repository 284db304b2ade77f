SUMMARY = "A telnet console for looking after a device"
LICENSE = "Apache-2.0 OR MIT"
LIC_FILES_CHKSUM = "file://LICENSE;md5=0fa319019010460dd35106e84251505e"

# Where you keep what app/examples/bundle.sh has written, and the hash that it has printed.
SRC_URI = "https://example.com/sources/${BP}.tar.xz"
SRC_URI[sha256sum] = "0000000000000000000000000000000000000000000000000000000000000000"

inherit pyrmware

DEPENDS += "expat libffi openssl zlib"
PYRMWARE_LIBRARIES = " \
    libcrypto.so.3=libcrypto \
    libexpat.so.1=expat \
    libffi.so.8=libffi \
    libgcc_s.so.1=libgcc \
    libssl.so.3=libssl \
    libz.so.1=zlib \
"
