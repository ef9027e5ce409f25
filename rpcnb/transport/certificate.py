"""A server's certificate: made by itself, at each start, and known by its fingerprint.

There is no certificate authority. The fingerprint comes to the client in the address, beside the
secret, so whoever could replace one could replace the other.

Rules for this file: the only one that imports `cryptography`, which is an extra; the key is written
to a file that only this user can read, for as long as `ssl` needs to load it.
"""

from __future__ import annotations

import base64
import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from rpcnb.core.errors import ConnectError

LIFETIME = timedelta(days=3650)
"""Nobody looks at it: the fingerprint is pinned, and a server makes a new one when it starts."""


def server_context() -> tuple[ssl.SSLContext, bytes]:
    """Return what a listener speaks TLS with, and the fingerprint of its fresh certificate.

    Raises
    ------
    ConnectError
        The package `cryptography` is missing.
    """
    certificate, key = _make()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0  # sessions are resumed by rpcnb, with a proof; nothing to replay here
    with tempfile.NamedTemporaryFile(prefix="rpcnb-") as file:  # made with mode 0600
        file.write(key + ssl.DER_cert_to_PEM_cert(certificate).encode())
        file.flush()
        context.load_cert_chain(file.name)
    return context, fingerprint_of(certificate)


def client_context() -> ssl.SSLContext:
    """Return what a client speaks TLS with: it looks at the fingerprint, and at nothing else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def fingerprint_of(certificate: bytes) -> bytes:
    """Return the SHA-256 of a certificate in DER."""
    return sha256(certificate).digest()


def fingerprint_text(fingerprint: bytes) -> str:
    """Return a fingerprint as it stands in addresses: base 32."""
    return base64.b32encode(fingerprint).decode().rstrip("=").lower()


def _make() -> tuple[bytes, bytes]:
    """Return a certificate in DER and its key in PEM."""
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError as error:
        message = (
            "listening beyond this machine needs the package cryptography: "
            "pip install 'rpcnb[tls]'; or serve this machine only and come by ssh://"
        )
        raise ConnectError(message) from error
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "rpcnb")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + LIFETIME)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    pem = key.private_bytes(serialization.Encoding.PEM, form, plain)
    return certificate.public_bytes(serialization.Encoding.DER), pem
