"""A firmware update as one file: a zip of the modules that a board's slot takes and of the manifest that is signed.

The manifest is a line of JSON and, once signed, the hex of its signature (firmware/chair/update.py says how a board
checks it). Signing needs only this file and the key, so the key can live on a machine without a network.
"""

import hashlib
import json
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from hardware import bytecode
from hardware.bench import pins

MANIFEST = "manifest"
KEY_BITS = 3072
FILE_BYTES_MAX = 65536
BASE = ("chair/pins.py", "chair/store.py")
"""Never updated over the air: what makes the cuff safe and chooses the slot needs them."""
EPOCH = (1980, 1, 1, 0, 0, 0)  # the same bundle from the same sources


class BundleError(ValueError):
    """The update cannot be made, signed or read; the text says why."""


@dataclass(frozen=True)
class Bundle:
    """`manifest` as it goes to the board, `files` by their path in the slot."""

    manifest: bytes
    files: dict[str, bytes]

    @property
    def signed(self) -> bool:
        return b"\n" in self.manifest

    @property
    def entries(self) -> dict[str, object]:
        values: dict[str, object] = json.loads(self.manifest.partition(b"\n")[0])
        return values

    def write(self, path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in ((MANIFEST, self.manifest), *self.files.items()):
                archive.writestr(zipfile.ZipInfo(name, EPOCH), data)


def read(path: Path) -> Bundle:
    """The bundle in a file. Raises BundleError when it is none, or is not what its manifest says."""
    try:
        with zipfile.ZipFile(path) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
            bundle = Bundle(files.pop(MANIFEST), files)
        listed = [tuple(entry) for entry in bundle.entries["files"]]  # type: ignore[attr-defined]
    except (OSError, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise BundleError(f"{path}: not an update: {error}") from error
    if listed != [entry(name, data) for name, data in files.items()]:
        raise BundleError(f"{path}: the files are not those of its manifest; make it again")
    return bundle


def make(firmware: Path, security: int, *, version: str | None = None) -> Bundle:
    """The update that brings a board from any version to the one in `firmware`, as bytecode. Raises BundleError."""
    sources = sorted(path for folder in bytecode.FOLDERS for path in (firmware / folder).glob("*.py"))
    names = {path: path.relative_to(firmware).as_posix() for path in sources}
    if not {"chair/app.py", "chair/update.py"} <= set(names.values()):
        raise BundleError(f"{firmware}: no firmware: chair/app.py or chair/update.py is missing")
    try:
        files = dict(bytecode.compiled(path, firmware) for path, name in names.items() if name not in BASE)
    except bytecode.BytecodeError as error:
        raise BundleError(str(error)) from error
    for name, data in files.items():
        if not 0 < len(data) <= FILE_BYTES_MAX:
            raise BundleError(f"{name}: {len(data)} bytes, allowed are 1 to {FILE_BYTES_MAX}")
    manifest = {
        "v": 1,
        "board": pins.load()["board"]["name"],
        "version": version or version_of(firmware),
        "security": security,
        "files": [entry(name, data) for name, data in files.items()],
    }
    return Bundle(json.dumps(manifest, separators=(",", ":")).encode(), files)


def version_of(firmware: Path) -> str:
    """What a board with this firmware says in its status."""
    found = re.search(r'^FIRMWARE = "(.+)"', (firmware / "chair" / "app.py").read_text(encoding="utf-8"), re.MULTILINE)
    if not found:
        raise BundleError(f"{firmware}/chair/app.py: no FIRMWARE")
    return found[1]


def sign(bundle: Bundle, key: rsa.RSAPrivateKey) -> Bundle:
    """The bundle with this key's signature, in place of one that it had."""
    text = bundle.manifest.partition(b"\n")[0]
    signature = key.sign(text, padding.PKCS1v15(), hashes.SHA256())
    return Bundle(text + b"\n" + signature.hex().encode(), bundle.files)


def signed_by(bundle: Bundle, key: rsa.RSAPublicKey) -> bool:
    text, _, signature = bundle.manifest.partition(b"\n")
    try:
        key.verify(bytes.fromhex(signature.decode()), text, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True


def new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, KEY_BITS)


def read_key(path: Path, password: bytes | None = None) -> rsa.RSAPrivateKey:
    """The private key in a PEM file. Raises BundleError."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password)
    except (OSError, TypeError, ValueError) as error:
        raise BundleError(f"{path}: not a readable private key: {error}") from error
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size != KEY_BITS:
        raise BundleError(f"{path}: must be an RSA key of {KEY_BITS} bits")
    return key


def key_pem(key: rsa.RSAPrivateKey, password: bytes | None = None) -> bytes:
    cipher = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, cipher)


def public_part(key: rsa.RSAPrivateKey) -> str:
    """The text of a board's `update.pub`."""
    return json.dumps({"v": 1, "n": f"{key.public_key().public_numbers().n:x}"})


def entry(name: str, data: bytes) -> tuple[str, int, str]:
    return name, len(data), hashlib.sha256(data).hexdigest()
