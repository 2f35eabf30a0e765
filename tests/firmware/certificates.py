"""Certificates made when a test runs, by the openssl command: a CA and what it signs, as PEM and as DER."""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc"]


class Authority:
    """`folder/NAME.pem`, `.key`, `.der` and `.key.der` for the CA itself and for each certificate that it gives."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        _openssl(
            folder,
            ["req", "-x509", *CURVE, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "3650"],
            ["-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE"],
        )
        _der(folder, name)
        (folder / f"{name}.db").touch()
        (folder / f"{name}.cnf").write_text(
            f"[ca]\ndefault_ca=own\n[own]\ndatabase={name}.db\nnew_certs_dir=.\nserial={name}.srl\ndefault_md=sha256\n"
            "policy=any\nunique_subject=no\n[any]\ncommonName=supplied\n"
        )

    def give(self, name: str, *hosts: str, from_days: int = -1, to_days: int = 365) -> None:
        """A certificate for `hosts` (`DNS:...` or `IP:...`), good from and to so many days from now."""
        folder, ca = self.folder, self.name
        (folder / f"{name}.ext").write_text(f"subjectAltName={','.join(hosts or [f'DNS:{name}'])}\n")
        _openssl(folder, ["req", *CURVE, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}"])
        _openssl(
            folder,
            ["ca", "-batch", "-config", f"{ca}.cnf", "-cert", f"{ca}.pem", "-keyfile", f"{ca}.key", "-create_serial"],
            ["-notext", "-in", f"{name}.csr", "-out", f"{name}.pem", "-extfile", f"{name}.ext"],
            ["-startdate", _in_days(from_days), "-enddate", _in_days(to_days)],
        )
        _der(folder, name)


def _der(folder: Path, name: str) -> None:
    _openssl(folder, ["x509", "-in", f"{name}.pem", "-outform", "DER", "-out", f"{name}.der"])
    _openssl(folder, ["ec", "-in", f"{name}.key", "-outform", "DER", "-out", f"{name}.key.der"])


def _in_days(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).strftime("%Y%m%d%H%M%SZ")


def _openssl(folder: Path, *arguments: list[str]) -> None:
    command = ["openssl", *(word for part in arguments for word in part)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
