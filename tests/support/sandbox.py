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
from dataclasses import dataclass
from pathlib import Path

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1  # netdevice(7)
INTERFACE = struct.Struct("16sH14x")


@dataclass(frozen=True, kw_only=True)
class Sandbox:
    """What the command finds: what it may read and write beyond its home, and names of hosts."""

    home: Path
    readable: tuple[Path, ...] = ()  # such as the folders of Python, wherever they are
    writable: tuple[Path, ...] = ()  # changes are seen in the sandbox only, and are lost
    hosts: tuple[str, ...] = ()  # names of this machine

    def command_line(self, *words: str) -> list[str]:
        """Return the command that runs `words` here as a user who is not root."""
        user = ["--user", "--map-root-user"] if os.getuid() else []
        spaces = ["unshare", *user, "--net", "--mount", "--pid", "--fork"]
        options = [f"--home={self.home}", f"--user={other_user() or 0}"]
        options += [f"--readable={path}" for path in self.readable]
        options += [f"--writable={path}" for path in self.writable]
        options += [f"--host={name}" for name in self.hosts]
        return [*spaces, "--kill-child", sys.executable, __file__, *options, "--", *words]


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
    kept = {path: spare / f"readable{number}" for number, path in enumerate(hidden)}
    for path, place in kept.items():
        bind(path, place)
    for closed in set(hidden.values()):
        mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", closed)
    for path, place in kept.items():
        bind(place, path)


def bind(source: Path, place: Path) -> None:
    """Show a folder, a file or a socket at another place too."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.mkdir() if source.is_dir() else place.touch()
    mount("--bind", source, place)


def make_writable(path: Path, spare: Path, user: int) -> None:
    """Let the user change a folder, in memory."""
    spare.mkdir(parents=True)
    mount("-t", "tmpfs", "tmpfs", spare)
    upper, work = spare / "upper", spare / "work"
    upper.mkdir()
    work.mkdir()
    os.chown(upper, user, user)
    mount("-t", "overlay", "-o", f"lowerdir={path},upperdir={upper},workdir={work}", "none", path)


def name_hosts(names: list[str], file: Path) -> None:
    """Give this machine further names."""
    file.write_text(f"127.0.0.1 localhost {' '.join(names)}\n", "utf-8")
    mount("--bind", file, "/etc/hosts")


def open_low_ports() -> None:
    """Let every user listen on ports such as 443, as a proxy does."""
    Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").write_text("0", "utf-8")


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
    parser.add_argument("--writable", type=Path, action="append", default=[])
    parser.add_argument("--host", action="append", default=[])
    parser.add_argument("words", nargs="+")
    arguments = parser.parse_args()
    spare = arguments.home.with_name("mounted")
    spare.mkdir()
    start_loopback()
    mount("-t", "proc", "proc", "/proc")  # the ids in it are those of the new namespace
    make_readable(arguments.readable, spare)
    for path in arguments.writable:
        make_writable(path, spare / path.name, arguments.user)
    if arguments.host:
        name_hosts(arguments.host, spare / "hosts")
        open_low_ports()
    os.chdir(arguments.home)
    become(arguments.user, arguments.words)


if __name__ == "__main__":
    main()
