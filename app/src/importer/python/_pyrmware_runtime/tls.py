"""Where TLS finds its trusted certificates: the device's, else the ones that `certifi` brought."""

import os

import _pyrmware

_DEVICE_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, OpenWrt, Alpine, Buildroot, Yocto
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",  # Alpine
)


def configure():
    """Called before `ssl` is imported. An OpenSSL that was built elsewhere looks in folders that
    the device lacks.
    """
    import _ssl

    file_variable, file, folder_variable, folder = _ssl.get_default_verify_paths()
    if file_variable in os.environ or folder_variable in os.environ:
        return
    if os.path.isfile(file) or (os.path.isdir(folder) and os.listdir(folder)):
        return
    for candidate in _DEVICE_FILES:
        if os.path.isfile(candidate):
            os.environ[file_variable] = candidate
            return
    descriptor = _pyrmware.memory_file("certifi/cacert.pem")
    if descriptor is not None:
        os.environ[file_variable] = f"/proc/{os.getpid()}/fd/{descriptor}"
