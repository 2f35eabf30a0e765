"""A clinic's own authority, and the certificates that it gives: EC P-256, which an ESP32 can handshake with.

Keys are made where they are used or go to a board over its USB line; whoever has `ca.key` can make boards and brokers.
"""

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_DAYS = 20 * 365
BOARD_DAYS = 10 * 365
SERVER_DAYS = 825
"""What clients accept of a server at most."""
RENEW_DAYS = 60
BEFORE = timedelta(days=1)
"""A clock may be behind."""


class Authority(NamedTuple):
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def authority(folder: Path, name: str) -> Authority:
    """The one in the folder, or a new one: another would lock out every board. Raises OSError, ValueError."""
    certificate_file, key_file = folder / "ca.pem", folder / "ca.key"
    if certificate_file.exists() and key_file.exists():
        key = load_pem_private_key(key_file.read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{key_file}: not an EC key")
        return Authority(x509.load_pem_x509_certificate(certificate_file.read_bytes()), key)
    if certificate_file.exists() or key_file.exists():
        raise ValueError(f"{folder}: ca.pem or ca.key is missing; bring it back, a new one would lock out every board")
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _named(f"{name} authority")
    usage = x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    certificate = (
        _begun(subject, subject, key.public_key(), AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    _write_key(key_file, key, Encoding.PEM)
    certificate_file.write_bytes(certificate.public_bytes(Encoding.PEM))
    return Authority(certificate, key)


def give_server(folder: Path, name: str, signer: Authority, hosts: list[str]) -> bool:
    """`name.pem` and `name.key` for a server with these names and addresses. False if a good one is there."""
    names = [_host(host) for host in hosts]
    return _give(folder, name, signer, SERVER_DAYS, ExtendedKeyUsageOID.SERVER_AUTH, names)


def give_client(folder: Path, name: str, signer: Authority) -> bool:
    """`name.pem` and `name.key` for the gateway or the web process. False if a good one is there."""
    return _give(folder, name, signer, SERVER_DAYS, ExtendedKeyUsageOID.CLIENT_AUTH, [])


def give_board(folder: Path, device: str, signer: Authority) -> bool:
    """`device/ca.der`, `client.der` and `client.key.der`, as `bench provision --tls` takes them."""
    own = folder / device
    own.mkdir(parents=True, exist_ok=True)
    if _is_good(own / "client.der", signer, Encoding.DER, []):
        return False
    key = ec.generate_private_key(ec.SECP256R1())
    made = _signed(device, key, signer, BOARD_DAYS, ExtendedKeyUsageOID.CLIENT_AUTH, [])
    _write_key(own / "client.key.der", key, Encoding.DER)
    (own / "client.der").write_bytes(made.public_bytes(Encoding.DER))
    (own / "ca.der").write_bytes(signer.certificate.public_bytes(Encoding.DER))
    return True


def _give(
    folder: Path,
    name: str,
    signer: Authority,
    days: int,
    usage: x509.ObjectIdentifier,
    hosts: list[x509.GeneralName],
) -> bool:
    if _is_good(folder / f"{name}.pem", signer, Encoding.PEM, hosts):
        return False
    key = ec.generate_private_key(ec.SECP256R1())
    made = _signed(name, key, signer, days, usage, hosts)
    _write_key(folder / f"{name}.key", key, Encoding.PEM)
    (folder / f"{name}.pem").write_bytes(made.public_bytes(Encoding.PEM))
    return True


def _is_good(path: Path, signer: Authority, encoding: Encoding, hosts: list[x509.GeneralName]) -> bool:
    """Is it ours, with its key, for these hosts, and good for some time to come? A board's key may be with the board
    alone. Raises ValueError for that of a namesake of our authority, which somebody may still need."""
    if not path.exists() or (encoding is Encoding.PEM and not path.with_suffix(".key").exists()):
        return False
    load = x509.load_der_x509_certificate if encoding is Encoding.DER else x509.load_pem_x509_certificate
    found = load(path.read_bytes())
    if found.issuer != signer.certificate.subject or found.not_valid_after_utc < _now() + timedelta(days=RENEW_DAYS):
        return False
    try:
        found.verify_directly_issued_by(signer.certificate)
    except InvalidSignature:
        why = "another authority of the same name signed it; bring back that ca.pem and ca.key, or move this file away"
        raise ValueError(f"{path}: {why}") from None
    if not hosts:
        return True
    named = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(hosts) <= set(named)


def _signed(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    signer: Authority,
    days: int,
    usage: x509.ObjectIdentifier,
    hosts: list[x509.GeneralName],
) -> x509.Certificate:
    made = _begun(_named(name), signer.certificate.subject, key.public_key(), days)
    made = made.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    made = made.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    if hosts:
        made = made.add_extension(x509.SubjectAlternativeName(hosts), critical=False)
    return made.sign(signer.key, hashes.SHA256())


def _begun(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int) -> x509.CertificateBuilder:
    begins = _now() - BEFORE
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=days))
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey, encoding: Encoding) -> None:
    """Readable by its owner only, from its first byte on."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(key.private_bytes(encoding, PrivateFormat.TraditionalOpenSSL, NoEncryption()))


def _now() -> datetime:
    return datetime.now(UTC)
