"""An agent in a container of its image: confined as on this machine, with its room and nothing else of it."""

import pytest

from building.images import root_with_image, write_image
from isobench.adapters.agents.supervisor import Bounds, Kept, Supervisor
from isobench.adapters.isolation.container_engine import find_engine
from isobench.adapters.isolation.containers import open_container
from isobench.adapters.isolation.probe_archive import build_probe

pytestmark = pytest.mark.slow

IMAGE = "localhost/isobench-agent-test:1"
TRY = """
cat
echo "changed" > target.py
ls {work}
python3 -c 'import socket; socket.socket()' || echo "no socket"
python3 -c 'import pty; pty.openpty(); print("a terminal")'
(trap "" TERM; sleep 600) &
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    archive = write_image(tmp_path_factory.mktemp("image") / "image.tar")
    with root_with_image(tmp_path_factory.mktemp("contained") / "work", archive, IMAGE) as root:
        yield root


def test_it_is_kept_in_its_container_as_on_this_machine(root):
    container = open_container(find_engine(root.containers), IMAGE, root.path)
    room, secret = root.agents / "room", root.trees / "head"
    for folder in (room / "repository", room / "control", secret):
        folder.mkdir(parents=True)
    archive = build_probe(root.probe)
    python = container.pythons[0].executable
    environment = {"PATH": f"{python.parent}:/usr/bin:/bin"}
    script = ["sh", "-c", TRY.format(work=root.trees)]
    kept = Kept(script, environment, room / "repository", python, [], [room / "repository"], b"its input\n")
    supervisor = Supervisor(archive, container.sandbox([archive], [room]))
    ending = supervisor.run(kept, Bounds(seconds=60.0, disk_bytes=2**26), room / "control")
    printed = (room / "control" / "stdout.txt").read_text()
    assert (ending.exit_code, ending.stopped) == (0, None), printed
    assert printed.splitlines() == ["its input", "no socket", "a terminal"]
    assert ending.left >= 1
    assert (room / "repository" / "target.py").read_text() == "changed\n"
