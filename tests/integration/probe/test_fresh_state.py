"""Every run starts from nothing: no answer that an earlier run kept can be found again."""

from dataclasses import replace

import pytest
from probe_bench import SOUND, WITHOUT_MOUNTS, Bench

KEEPERS = {
    "working directory": "FILE('answer')",
    "HOME": "FILE(os.path.expanduser('~/answer'))",
    "TMPDIR": "FILE(os.path.join(tempfile.gettempdir(), 'answer'))",
    "XDG_CACHE_HOME": "FILE(os.path.join(os.environ['XDG_CACHE_HOME'], 'answer'))",
    "XDG_RUNTIME_DIR": "FILE(os.path.join(os.environ['XDG_RUNTIME_DIR'], 'answer'))",
    "beside the directories": "FILE('../answer')",
    "/dev/shm": "FILE('/dev/shm/answer')",
    "shared memory": "SHARED()",
    "bytecode cache": "FILE(importlib.util.cache_from_source(module.__file__))",
    "tree": "FILE(os.path.join(os.path.dirname(module.__file__), 'answer'))",
    "environment": "FILE(os.path.join(sys.prefix, 'answer'))",
    "script": "FILE(__file__ + '.answer')",
    "modes": "MODE()",
    "abstract socket": "ABSTRACT()",
}
CACHING = """
import importlib.util, json, module, os, socket, stat, sys, tempfile
from multiprocessing import shared_memory

def FILE(path):
    found = os.path.exists(path)
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        open(path, "w").write("42")
    except OSError:
        pass
    return found

def SHARED():
    try:
        shared_memory.SharedMemory("answer")
        return True
    except FileNotFoundError:
        block = shared_memory.SharedMemory("answer", create=True, size=100)
        from multiprocessing import resource_tracker
        resource_tracker.unregister(block._name, "shared_memory")
        return False

def MODE():
    kept = [stat.S_IMODE(os.stat(path).st_mode) for path in ("..", ".", "/dev/shm")]
    for path, mode in (("..", 0o710), (".", 0o710), ("/dev/shm", 0o1770)):
        os.chmod(path, mode)
    return 0o710 in kept or 0o1770 in kept

def ABSTRACT():
    try:
        socket.socket(socket.AF_UNIX).bind(bytes(1) + b"answer")
        return False
    except OSError:
        return True

found = %s
print(json.dumps({"avg_ms": 0.002 if found else 0.001}))
"""


@pytest.mark.parametrize("before", [(), WITHOUT_MOUNTS], ids=["memory", "disk"])
@pytest.mark.parametrize("place", KEEPERS)
def test_a_kept_answer_is_not_found_by_the_next_run(bench: Bench, place: str, before: tuple[str, ...]) -> None:
    request = bench.request({"base": CACHING % KEEPERS[place], "head": ""})
    request["arms"][1] = request["arms"][0] | {"name": "head"}
    ending = bench.run(request, before)
    assert (ending.arm("base")["reason"], ending.arm("head")["reason"]) == (None, None)
    assert [sample["printed_ms"] for sample in ending.samples] == [0.001, 0.001]


def test_a_hash_seed_is_shared_by_a_block_and_differs_between_blocks(bench: Bench) -> None:
    script = "import os; print('Execution time: %s ms' % (int(os.environ['PYTHONHASHSEED']) / 2**40))"
    request = bench.request({"base": script, "head": script}, protocol="blocks", primary=[["base", "head"]])
    blocks: dict[int, set[float]] = {}
    for sample in bench.run(request).samples:
        blocks.setdefault(sample["block"], set()).add(sample["printed_ms"])
    assert all(len(seeds) == 1 for seeds in blocks.values())
    assert len(set.union(*blocks.values())) == len(blocks)


@pytest.mark.parametrize(
    "litter",
    [
        "path = '.'\nfor level in range(1500): os.mkdir('d'); os.chdir('d')",
        "os.mkdir('locked'); open('locked/file', 'w').close(); os.chmod('locked', 0); os.chmod('.', 0)",
        "os.symlink('/', 'root'); os.symlink('missing', 'broken'); os.mkfifo('fifo')",
        "os.mkdir('deep'); os.makedirs('deep/er/still'); os.symlink('..', 'deep/er/up')",
        "for number in range(3000): open(str(number), 'w').close()",
        "open('..' + '/' + 'x' * 255, 'w').close(); open(b'\\xff\\xfe', 'w').close()",
    ],
    ids=["deep", "locked", "links", "nested", "many", "odd names"],
)
def test_whatever_a_run_leaves_on_disk_is_removed(bench: Bench, litter: str) -> None:
    ending = bench.run(bench.request({"base": f"import os\n{litter}\n{SOUND}"}), WITHOUT_MOUNTS)
    assert ending.arm()["reason"] is None, ending.arm()
    assert list(bench.path("scratch").iterdir()) == []


def test_what_a_killed_probe_left_in_its_scratch_space_does_not_disturb_the_next(bench: Bench) -> None:
    bench.path("scratch", "run", "work").mkdir(parents=True)
    bench.path("scratch", "run", "work", "old").write_text("old")
    request = bench.request({"base": "import os; assert os.listdir('.') == []\n" + SOUND})
    assert bench.run(request, WITHOUT_MOUNTS).arm()["reason"] is None
    assert list(bench.path("scratch").iterdir()) == []


THEIRS = ("sh", "-c", 'echo data > /dev/shm/theirs; "$@"; status=$?; cat /dev/shm/theirs >&2; exit $status', "sh")


def test_shared_memory_of_others_is_hidden_behind_the_probes_own(bench: Bench) -> None:
    here = replace(bench, launcher=(*bench.launcher, *THEIRS))
    ending = here.time("import os; assert os.listdir('/dev/shm') == []; open('/dev/shm/mine', 'w')\n" + SOUND)
    assert (ending.arm()["reason"], ending.stderr) == (None, "data\n")


def test_without_mounts_shared_memory_of_others_is_neither_touched_nor_lent(bench: Bench) -> None:
    theirs = 'echo data > /dev/shm/theirs; exec "$@"'
    ending = bench.run(
        bench.request({"base": "open('/dev/shm/answer', 'w')", "head": "print(open('/dev/shm/theirs').read())"}),
        before=("sh", "-c", theirs, "sh", *WITHOUT_MOUNTS),
    )
    assert [ending.arm(name)["reason"] for name in ("base", "head")] == ["WroteOutsideScratch"] * 2
    assert ending.result is not None
    after = ending.result["isolation"]["after"]
    assert (after["scratch"], after["shared_memory"]) == ("disk", "not writable")
