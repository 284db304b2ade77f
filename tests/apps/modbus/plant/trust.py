"""Keys, certificates, signatures: what a device needs to be believed."""

import datetime
import ipaddress
import os

from cryptography import x509
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, x25519
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID

PEM = serialization.Encoding.PEM
PASSWORD = b"a password"


def full():
    return {
        "certificates": certificates(),
        "signatures": signatures(),
        "ciphers": ciphers(),
        "derived": derived(),
        "stored": stored(),
    }


def certificate(key, days=1):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "plant ü")])
    start = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    return (
        x509.CertificateBuilder(name, name, key.public_key(), serial_number=7)
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )


def write_certificate(folder):
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(
        PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    paths = []
    for name, data in (("plant.pem", certificate(key).public_bytes(PEM)), ("plant.key", private)):
        paths.append(os.path.join(folder, name))
        with open(paths[-1], "wb") as file:
            file.write(data)
    return paths


def certificates():
    key = ec.generate_private_key(ec.SECP256R1())
    made = x509.load_pem_x509_certificate(certificate(key).public_bytes(PEM))
    made.verify_directly_issued_by(made)
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    request = x509.CertificateSigningRequestBuilder(made.subject).sign(key, hashes.SHA256())
    seen = [made.subject.rfc4514_string(), str(names[0].value), made.serial_number]
    seen += [request.is_signature_valid, made.signature_hash_algorithm.name]
    for wrong in (
        lambda: x509.load_pem_x509_certificate(b"no certificate"),
        lambda: x509.load_der_x509_certificate(b"\x30\x00"),
        lambda: made.extensions.get_extension_for_class(x509.KeyUsage),
        lambda: certificate(key, days=-1),
    ):
        try:
            wrong()
        except (ValueError, x509.ExtensionNotFound) as error:
            seen.append(type(error).__name__)
    return seen


def signatures():
    message, seen = b"42 kWh", []
    edwards = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
    seen.append(edwards.sign(message).hex())
    curve = ec.derive_private_key(12345, ec.SECP384R1())
    rivest = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    salted = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.MAX_LENGTH)
    for key, scheme in (
        (edwards, ()),
        (curve, (ec.ECDSA(hashes.SHA384()),)),
        (rivest, (salted, hashes.SHA256())),
        (rivest, (padding.PKCS1v15(), hashes.SHA512())),
    ):
        signature = key.sign(message, *scheme)
        key.public_key().verify(signature, message, *scheme)
        try:
            key.public_key().verify(signature, b"43 kWh", *scheme)
        except InvalidSignature as error:
            seen.append(type(error).__name__)
    other = x25519.X25519PrivateKey.generate()
    mine = x25519.X25519PrivateKey.generate()
    seen.append(mine.exchange(other.public_key()) == other.exchange(mine.public_key()))
    code = hmac.HMAC(b"key", hashes.SHA256())
    code.update(message)
    return [*seen, code.finalize().hex()]


def ciphers():
    seen, key, nonce = [], bytes(32), bytes(12)
    for kind in (AESGCM, ChaCha20Poly1305):
        sealed = kind(key).encrypt(nonce, b"secret", b"header")
        seen += [sealed.hex(), kind(key).decrypt(nonce, sealed, b"header").decode()]
        try:
            kind(key).decrypt(nonce, sealed, b"other header")
        except InvalidTag as error:
            seen.append(type(error).__name__)
    encryptor = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()
    seen.append((encryptor.update(b"block") + encryptor.finalize()).hex())
    fernet = Fernet(Fernet.generate_key())
    seen.append(fernet.decrypt(fernet.encrypt(b"token")).decode())
    try:
        fernet.decrypt(b"no token")
    except InvalidToken as error:
        seen.append(type(error).__name__)
    return seen


def derived():
    return [
        PBKDF2HMAC(hashes.SHA256(), 16, b"salt", 10).derive(PASSWORD).hex(),
        Scrypt(b"salt", 16, 16, 1, 1).derive(PASSWORD).hex(),
        HKDF(hashes.SHA256(), 16, b"salt", b"info").derive(PASSWORD).hex(),
    ]


def stored():
    key = ec.derive_private_key(12345, ec.SECP256R1())
    sealing = serialization.BestAvailableEncryption(PASSWORD)
    pem = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, sealing)
    seen = [serialization.load_pem_private_key(pem, PASSWORD).private_numbers().private_value]
    for password in (b"wrong", None):
        try:
            serialization.load_pem_private_key(pem, password)
        except (TypeError, ValueError) as error:
            seen.append(type(error).__name__)
    bundle = pkcs12.serialize_key_and_certificates(b"plant", key, certificate(key), None, sealing)
    loaded = pkcs12.load_pkcs12(bundle, PASSWORD)
    openssh = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return [*seen, loaded.cert.friendly_name.decode(), openssh.decode()]
