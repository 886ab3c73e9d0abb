"""The namespaces that a cluster lives in: made, joined to the machine by one cable, entered, and ended as a whole."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from cluster.profiles import Profile
from cluster.waiting import wait_until

_SUPERVISOR = Path(__file__).parent / "supervisor.py"
_CONTROLLERS = Path("/sys/fs/cgroup")
_NAMESPACES = ("--mount", "--net", "--pid", "--uts", "--ipc")


def start(profile: Profile) -> None:
    """Start the supervisor in new namespaces, connected to this machine and to nothing else."""
    profile.folder.mkdir(parents=True, exist_ok=True)
    with (profile.folder / "supervisor.log").open("ab") as log:
        own = ("--fork", "--kill-child", "--mount-proc", "--propagation=private")
        command = ["unshare", *_NAMESPACES, *own, sys.executable, "-I", str(_SUPERVISOR), str(profile.folder)]
        streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
        outer = subprocess.Popen(command, start_new_session=True, cwd="/", **streams)
    _wait_for(profile.folder / "control.sock", outer)
    (profile.folder / "pid").write_text(str(_only_child(outer.pid)))
    _connect(profile)
    for name in profile.cgroups:
        _make_cgroups(name)


def process(profile: Profile) -> int | None:
    """The supervisor's process; None where the cluster is not up."""
    try:
        pid = int((profile.folder / "pid").read_text())
        command = Path("/proc", str(pid), "cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    return pid if os.fsencode(profile.folder) in command else None


def enter(profile: Profile, *command: str) -> list[str]:
    """A command line that runs ``command`` on the cluster's network."""
    return ["nsenter", f"--target={process(profile)}", "--mount", "--net", "--pid", "--", *command]


def end(profile: Profile) -> None:
    """End everything: the kernel takes processes, mounts, interfaces and rules with the first process."""
    for pid in _supervisors(profile):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not _supervisors(profile), "the supervisor to end")
    wait_until(lambda: not Path("/sys/class/net", profile.link).exists(), f"{profile.link} to go")
    wait_until(lambda: _removed_cgroups(profile), f"the cgroups {', '.join(profile.cgroups)} to be empty")


def leftovers(profile: Profile) -> list[str]:
    """What is still there of a cluster that should be gone: processes, mounts, interfaces, cgroups, files."""
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [
        *(f"process {pid}" for pid in _supervisors(profile)),
        *(f"mount {mount}" for mount in mounts if Path(mount).is_relative_to(profile.folder)),
        *(f"interface {path}" for path in [Path("/sys/class/net", profile.link)] if path.exists()),
        *(f"cgroup {path}" for name in profile.cgroups for path in cgroups(name)),
        *(f"folder {path}" for path in [profile.folder] if path.exists()),
    ]


def _connect(profile: Profile) -> None:
    pid, (here, there) = process(profile), profile.ends
    _ip("link", "add", profile.link, "type", "veth", "peer", "name", "link0", "netns", str(pid))
    _ip("address", "add", f"{here}/30", "dev", profile.link)
    _ip("link", "set", profile.link, "up")
    inside = (
        ["ip", "address", "add", f"{there}/30", "dev", "link0"],
        ["ip", "link", "set", "link0", "up"],
        ["ip", "address", "add", f"{profile.address}/32", "dev", "lo"],
        # This machine may call the cluster; nothing in there may call this machine.
        *(
            ["iptables", "-w", "-A", chain, "-o", "link0", "-m", "conntrack", "--ctstate", "NEW", "-j", "REJECT"]
            for chain in ("OUTPUT", "FORWARD")
        ),
        # Pods have link-local addresses that no policy speaks of.
        ["ip6tables", "-w", "-A", "INPUT", "-i", "lo", "-j", "ACCEPT"],
        *(["ip6tables", "-w", "-P", chain, "DROP"] for chain in ("INPUT", "FORWARD")),
    )
    for command in inside:
        subprocess.run(enter(profile, *command), check=True)
    _ip("route", "add", f"{profile.address}/32", "via", there, "dev", profile.link)
    if profile.real:
        _ip("route", "add", profile.pods, "via", there, "dev", profile.link)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def _supervisors(profile: Profile) -> list[int]:
    """Found by their command lines, so that one whose process file was lost is found too."""
    ending = os.fsencode(f"{_SUPERVISOR.name}\0{profile.folder}\0")
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and (entry / "cmdline").read_bytes().endswith(ending):
                found.append(int(entry.name))
    return found


def _only_child(pid: int) -> int:
    return int(Path("/proc", str(pid), "task", str(pid), "children").read_text().split()[0])


def _make_cgroups(name: str) -> None:
    """Below every controller, since the kubelet wants its root cgroup to be there."""
    for controller in _hierarchies():
        (controller / name).mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):
            parent = controller / setting
            if parent.exists() and not (controller / name / setting).read_text().strip():
                (controller / name / setting).write_text(parent.read_text())


def _hierarchies() -> list[Path]:
    if (_CONTROLLERS / "cgroup.procs").exists():
        return [_CONTROLLERS]
    return [path for path in _CONTROLLERS.iterdir() if (path / "cgroup.procs").exists() and not path.is_symlink()]


def cgroups(name: str) -> Iterator[Path]:
    """Every cgroup of that name and below it, the innermost first."""
    for controller in _hierarchies():
        for folder, _, _ in os.walk(controller / name, topdown=False):
            yield Path(folder)


def _removed_cgroups(profile: Profile) -> bool:
    for path in [path for name in profile.cgroups for path in cgroups(name)]:
        with suppress(OSError):
            path.rmdir()
    return not [path for name in profile.cgroups for path in cgroups(name)]


def _wait_for(path: Path, starting: "subprocess.Popen[bytes]") -> None:
    wait_until(lambda: path.exists() or starting.poll() is not None, f"{path}")
    if starting.poll() is not None:
        raise RuntimeError((path.parent / "supervisor.log").read_text())
