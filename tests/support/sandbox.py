"""Run a command as a user who has only an empty home and the installed wheel.

Run by path, as root or (in a user namespace) by anybody: it makes a network of its own, so that
each document has its own port 8000, gives the command the names of hosts and the folders that it
asks for, and drops all privileges. The namespaces, and with them every process, end with it.
"""

import argparse
import fcntl
import os
import pwd
import socket
import struct
import subprocess
import sys
from pathlib import Path

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1  # netdevice(7)
INTERFACE = struct.Struct("16sH14x")


def command_line(home: Path, readable: list[Path], *words: str) -> list[str]:
    """Return the command that runs `words` in `home` as a user who is not root.

    `readable` are folders that the user must be able to read, such as those of Python.
    """
    user = ["--user", "--map-root-user"] if os.getuid() else []
    # Below a chroot `/` is no mount point, whose propagation could be changed.
    private = [] if Path("/").is_mount() else ["--propagation", "unchanged"]
    spaces = ["unshare", *user, "--net", "--mount", *private, "--pid", "--fork", "--kill-child"]
    folders = [word for path in readable for word in ("--readable", str(path))]
    program = [sys.executable, __file__, "--home", str(home), "--user", str(other_user() or 0)]
    return [*spaces, *program, *folders, "--", *words]


def other_user() -> int | None:
    """Return the id of the user whom commands run as, if it is not our own."""
    return None if os.getuid() else pwd.getpwnam("nobody").pw_uid


def start_loopback() -> None:
    """Start the loopback interface of a new network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        request = INTERFACE.pack(b"lo", 0)
        _, flags = INTERFACE.unpack(fcntl.ioctl(probe, SIOCGIFFLAGS, request))
        fcntl.ioctl(probe, SIOCSIFFLAGS, INTERFACE.pack(b"lo", flags | IFF_UP))


def closed_parent(path: Path) -> Path | None:
    """Return the first folder on the way to a path that other users may not enter."""
    for parent in reversed(path.parents):
        if not parent.stat().st_mode & 0o001:
            return parent
    return None


def make_readable(paths: list[Path], spare: Path) -> None:
    """Show these paths, and nothing else, of folders that other users may not enter."""
    hidden = {path: closed for path in paths if (closed := closed_parent(path))}
    for number, path in enumerate(hidden):
        (spare / str(number)).mkdir(parents=True)
        mount("--bind", path, spare / str(number))
    for closed in set(hidden.values()):
        mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", closed)
    for number, path in enumerate(hidden):
        path.mkdir(parents=True, exist_ok=True)
        mount("--bind", spare / str(number), path)


def mount(*words: object) -> None:
    """Run the command `mount`."""
    subprocess.run(["mount", *map(str, words)], check=True)  # noqa: S603, S607 - constant words


def become(user: int, words: list[str]) -> None:
    """Run a command as a user without groups and capabilities, in the place of this program."""
    if user:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    else:  # root of a user namespace only: a further one has another name for the same user
        words = ["unshare", "--user", "--map-user=1000", "--map-group=1000", *words]
    os.execvp(words[0], words)  # noqa: S606 - that is what it is for


def main() -> None:
    """Prepare the namespaces that `unshare` made, and run the command in them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--user", type=int, required=True)
    parser.add_argument("--readable", type=Path, action="append", default=[])
    parser.add_argument("words", nargs="+")
    arguments = parser.parse_args()
    start_loopback()
    mount("-t", "proc", "proc", "/proc")  # the ids in it are those of the new namespace
    make_readable(arguments.readable, arguments.home.with_name("mounted"))
    os.chdir(arguments.home)
    become(arguments.user, arguments.words)


if __name__ == "__main__":
    main()
