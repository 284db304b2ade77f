"""What OpenSSL reads by itself: trusted certificates (the device's, else the ones that `certifi`
brought), and the files that a context is given.
"""

import contextlib
import os

import _pyrmware

from . import files

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

    _ssl._SSLContext = _context(_ssl._SSLContext)
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


def _context(original):
    """The class of contexts, which also takes certificates and keys out of the virtual folder."""

    class _SSLContext(original):
        def load_cert_chain(self, certfile, keyfile=None, password=None):
            with _readable(certfile) as certfile, _readable(keyfile) as keyfile:
                super().load_cert_chain(certfile, keyfile, password)

        def load_verify_locations(self, cafile=None, capath=None, cadata=None):
            with _readable(cafile) as cafile:
                super().load_verify_locations(cafile, capath, cadata)

        def load_dh_params(self, path, /):
            with _readable(path) as path:
                super().load_dh_params(path)

    _SSLContext.__module__ = original.__module__
    return _SSLContext


@contextlib.contextmanager
def _readable(path):
    """A path that OpenSSL can open while the context lasts."""
    if not files.is_inside(path):
        yield path
        return
    descriptor = files.posix_open(path, os.O_RDONLY)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
