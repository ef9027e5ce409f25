"""A real sshd on this machine, for the current user only, with keys and settings of its own."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Self

PATIENCE = 10.0

SERVER = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/user_key.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
PrintMotd no
SetEnv RPCNB_RUNTIME_DIR={folder} PYTHONPATH={pythonpath}
"""
CLIENT = """\
Host *
  Port {port}
  HostName 127.0.0.1
  User {user}
  IdentityFile {folder}/user_key
  IdentitiesOnly yes
  UserKnownHostsFile {folder}/known_hosts
  GlobalKnownHostsFile /dev/null
"""


class Sshd:
    """Listens from the ``with`` block's begin to its end.

    Parameters
    ----------
    folder : Path
        For keys and settings, and for the runtime folder of whoever logs in; empty.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.command = ""
        """What to put into ``RPCNB_SSH``."""
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        program = shutil.which("sshd") or "/usr/sbin/sshd"
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        names = {
            "folder": self.folder,
            "port": port,
            "user": getpass.getuser(),
            "pythonpath": os.pathsep.join(sys.path[1:2]),
        }
        (self.folder / "server").write_text(SERVER.format(**names))
        (self.folder / "client").write_text(CLIENT.format(**names))
        for key in ("host_key", "user_key"):
            make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / key)]
            subprocess.run(make, check=True, timeout=PATIENCE)  # noqa: S603
        public = (self.folder / "host_key.pub").read_text()
        (self.folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {public}")
        if os.geteuid() == 0:  # where it puts those that have not logged in yet
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self._process = subprocess.Popen(  # noqa: S603
            [program, "-D", "-e", "-f", str(self.folder / "server")], stderr=subprocess.PIPE
        )
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if b"listening" in line:
                break
        else:
            message = "sshd did not start; install openssh-server"
            raise RuntimeError(message)
        self.command = f"ssh -F {self.folder / 'client'}"
        return self

    def __exit__(self, *exc_info: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.communicate(timeout=PATIENCE)
