import datetime
import ipaddress
import os
import socket
import ssl
import threading

from cryptography import x509
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, x25519
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.x509.oid import NameOID

from native_demo.checks import check

SEED = bytes(range(32))
START = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)  # noqa: UP017 (no datetime.UTC in 3.10)


@check
def tokens():
    fernet = Fernet(b"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
    token = fernet.encrypt_at_time(b"secret", 1_700_000_000)
    yield fernet.decrypt(token), fernet.extract_timestamp(token)
    try:
        fernet.decrypt(token[:-4] + b"AAAA")
    except InvalidToken as error:
        yield type(error).__module__, str(error)


@check
def ciphers():
    encryptor = Cipher(algorithms.AES(SEED), modes.CTR(bytes(16))).encryptor()
    yield (encryptor.update(b"plain text") + encryptor.finalize()).hex()
    yield AESGCM(SEED).encrypt(bytes(12), b"data", b"more").hex()
    sealed = ChaCha20Poly1305(SEED).encrypt(bytes(12), b"data", None)
    yield sealed.hex()
    try:
        ChaCha20Poly1305(SEED).decrypt(bytes(12), sealed[:-1] + b"\0", None)
    except InvalidTag as error:
        yield type(error).__name__
    yield HKDF(hashes.SHA256(), 16, b"salt", b"info").derive(SEED).hex()
    yield Scrypt(b"salt", 16, 16, 8, 1).derive(b"password").hex()
    code = hmac.HMAC(SEED, hashes.SHA3_256())
    code.update(b"x")
    yield code.finalize().hex()


@check
def signatures():
    key = ed25519.Ed25519PrivateKey.from_private_bytes(SEED)
    signature = key.sign(b"message")
    yield signature.hex(), key.public_key().verify(signature, b"message")
    try:
        key.public_key().verify(signature, b"other")
    except InvalidSignature as error:
        yield type(error).__name__
    pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    yield pem, serialization.load_pem_public_key(pem) == key.public_key()
    ours, theirs = (
        x25519.X25519PrivateKey.from_private_bytes(SEED),
        x25519.X25519PrivateKey.generate(),
    )
    yield ours.exchange(theirs.public_key()) == theirs.exchange(ours.public_key())
    slow = rsa.generate_private_key(65537, 2048)
    scheme = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.MAX_LENGTH)
    yield slow.public_key().verify(
        slow.sign(b"m", scheme, hashes.SHA256()), b"m", scheme, hashes.SHA256()
    )


def certificate():
    key = ec.derive_private_key(12345, ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "device")])
    names = [x509.DNSName("device.local"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(4711)
        .not_valid_before(START)
        .not_valid_after(START + datetime.timedelta(days=36_500))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    return key, builder.sign(key, hashes.SHA256())


@check
def certificates():
    _, made = certificate()
    read = x509.load_pem_x509_certificate(made.public_bytes(serialization.Encoding.PEM))
    yield read.subject.rfc4514_string(), read.serial_number, read.not_valid_after_utc.isoformat()
    names = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    yield names.get_values_for_type(x509.DNSName), read.signature_hash_algorithm.name
    try:
        x509.load_pem_x509_certificate(b"not a certificate")
    except ValueError as error:
        yield type(error).__name__


@check
def tls():
    """The ssl module has an OpenSSL of its own, beside the one inside cryptography."""
    key, made = certificate()
    pem = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    # No writable folder is needed: OpenSSL opens the file of a descriptor.
    descriptor = os.memfd_create("key")
    os.write(descriptor, private + pem)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(f"/proc/self/fd/{descriptor}")
    client = ssl.create_default_context(cadata=pem.decode())
    client.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    left, right = socket.socketpair()
    received = []

    def serve():
        with server.wrap_socket(left, server_side=True) as wrapped:
            received.append(wrapped.recv(100))
            wrapped.sendall(b"answer")

    thread = threading.Thread(target=serve)
    thread.start()
    with client.wrap_socket(right, server_hostname="device.local") as wrapped:
        wrapped.sendall(b"question")
        yield wrapped.recv(100), wrapped.version(), dict(wrapped.getpeercert()["subject"][0])
    thread.join()
    yield received
