"""Ends runs of the program at every step and looks at what is left.

Usage: interrupt.py BINARY FOLDER HOW [COUNT]. HOW is one of
  calls     killed before and behind every system call
  random    killed at random times, until COUNT runs were
  signals   sent SIGINT, SIGTERM or SIGHUP at system calls
  limits    run under limits of memory and file size
Prints one line a scene: runs, runs that were ended, models lost, files left. Linux on a 64-bit machine: it uses ptrace.
"""

import ctypes
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import onnx
from onnx import external_data_helper, helper, numpy_helper

BINARY, FOLDER, HOW = sys.argv[1:4]
COUNT = int(sys.argv[4]) if len(sys.argv) > 4 else 0
TRACEME, SYSCALL, SETOPTIONS = 0, 24, 0x4200
# Stops at system calls are marked, threads are followed, and nothing outlives this script.
OPTIONS = 0x1 | 0x8 | 0x100000
ALL_THREADS = 0x40000000

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def block(seed, joins=1):
    """Residual blocks with 16 channels, whose weights of 9 KiB go into other files where asked to."""
    rng = np.random.default_rng(seed)
    nodes, weights, last = [], [], "x"
    for i in range(joins):
        for k in "ab":
            w = (rng.standard_normal((16, 16, 3, 3)) / 12).astype(np.float32)
            weights.append(numpy_helper.from_array(w, f"w{i}{k}"))
        pads = {"kernel_shape": [3, 3], "pads": [1] * 4}
        nodes += [
            helper.make_node("Conv", [last, f"w{i}a"], [f"a{i}"], **pads),
            helper.make_node("Relu", [f"a{i}"], [f"r{i}"]),
            helper.make_node("Conv", [f"r{i}", f"w{i}b"], [f"b{i}"], **pads),
            helper.make_node("Add", [f"b{i}", last], [f"s{i}"]),
            helper.make_node("Relu", [f"s{i}"], [f"y{i}"]),
        ]
        last = f"y{i}"
    x, y = (helper.make_tensor_value_info(n, 1, [1, 16, 4, 4]) for n in ("x", last))
    graph = helper.make_graph(nodes, "g", [x], [y], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def save(model, path, locations=()):
    """Saves `model`, its weights in turn in files at `locations`, not aligned."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    home = os.path.dirname(path)
    for n, tensor in enumerate(model.graph.initializer if locations else []):
        location = locations[n % len(locations)]
        os.makedirs(os.path.dirname(os.path.join(home, location)), exist_ok=True)
        with open(os.path.join(home, location), "ab") as f:
            offset = f.tell()
            f.write(tensor.raw_data)
        external_data_helper.set_external_data(tensor, location, offset, len(tensor.raw_data))
        tensor.ClearField("raw_data")
    with open(path, "wb") as f:
        f.write(model.SerializeToString())


def weights(path):
    """Every weight of the model at `path` by name, wherever it is; None when it cannot be loaded."""
    try:
        model = onnx.load(path)
        return {t.name: numpy_helper.to_array(t).tobytes() for t in model.graph.initializer}
    except Exception:
        return None


def command(scene, more=()):
    return [BINARY, "rewrite", *scene.paths, "--no-verify", "--quiet", *more]


class Scene:
    """A folder before a run."""

    def __init__(self, name, paths, make):
        self.name, self.paths, self.make = name, paths, make
        self.origin = os.path.join(FOLDER, "origin")
        self.place = os.path.join(FOLDER, "place")
        shutil.rmtree(self.origin, ignore_errors=True)
        os.makedirs(os.path.join(self.origin, "to"))
        make(self.origin)
        self.old = self.models(self.origin)
        self.reset()
        subprocess.run(command(self), cwd=self.place, check=True)
        self.new = self.models(self.place)
        assert all(value is not None for value in self.new.values()), f"{name}: {self.new}"

    def reset(self):
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.copytree(self.origin, self.place)

    def models(self, place):
        return {n: weights(os.path.join(place, n)) for n in self.files(place) if n.endswith(".onnx")}

    def files(self, place):
        found = [os.path.relpath(os.path.join(at, n), place) for at, folders, names in os.walk(place) for n in names + folders]
        return sorted(found)

    def lost(self):
        """Models that are neither what they were nor what they were to become."""
        now = {n: w for n, w in self.models(self.place).items() if ".onnx-rm-" not in n}
        wrong = [n for n, w in now.items() if w is None or w not in (self.old.get(n), self.new.get(n))]
        return wrong + [n for n in self.old if n not in now]

    def state(self):
        """What is on the disk: every file with its content."""
        found = {}
        for name in self.files(self.place):
            path = os.path.join(self.place, name)
            if os.path.isfile(path):
                with open(path, "rb") as f:
                    found[name] = f.read()
        return hash(tuple(sorted(found.items())) + tuple(self.files(self.place)))

    def temporary(self):
        return [n for n in self.files(self.place) if ".onnx-rm-" in n]

    def left(self):
        """Files that are new and that no model reads, once another run went through."""
        subprocess.run(command(self), cwd=self.place, check=True)
        read = set(self.files(self.origin))
        for name in self.files(self.place):
            if name.endswith(".onnx") and ".onnx-rm-" not in name:
                read.add(name)
                model = onnx.load(os.path.join(self.place, name), load_external_data=False)
                for tensor in model.graph.initializer:
                    info = {e.key: e.value for e in tensor.external_data}
                    if "location" in info:
                        location = os.path.normpath(os.path.join(os.path.dirname(name), info["location"]))
                        read |= {location, os.path.dirname(location)}
        return [n for n in self.files(self.place) if n not in read]


def previous(place, name, seed):
    """An output of an earlier run, whose side file is the program's own."""
    path = os.path.join(place, "earlier.onnx")
    save(block(seed, 2), path, ["earlier.bin"])
    target = os.path.join(place, name)
    subprocess.run([BINARY, "rewrite", path, target, "--no-verify", "--quiet"], check=True)
    os.remove(path)
    os.remove(os.path.join(place, "earlier.bin"))


def scenes():
    def join(place, name):
        return os.path.join(place, name)

    def old_output(place):
        save(block(1), join(place, "in.onnx"))
        save(block(2), join(place, "out.onnx"))

    def external(place):
        save(block(1), join(place, "in.onnx"), ["in.onnx.data"])
        previous(place, "out.onnx", 2)

    def unrelated(place):
        save(block(1), join(place, "in.onnx"), ["a.bin", "sub/b.bin"])
        save(block(2), join(place, "out.onnx"), ["out.onnx.data"])
        save(block(3), join(place, "other.onnx"), ["out.onnx.1.data"])

    def own(place):
        # Rewritten with one option already, and with another now.
        save(block(1, 3), join(place, "raw.onnx"), ["raw.bin"])
        tool = [BINARY, "rewrite", join(place, "raw.onnx"), join(place, "in.onnx"), "--no-verify", "--quiet"]
        subprocess.run(tool + ["--only", "parallel"], check=True)
        os.remove(join(place, "raw.onnx"))
        os.remove(join(place, "raw.bin"))

    def several(place):
        model = block(1)
        del model.graph.node[3:]
        model.graph.output[0].name = "b0"
        save(model, join(place, "in.onnx"), ["a.bin", "sub/b.bin"])

    yield Scene("a new file", ["in.onnx", "out.onnx"], lambda place: save(block(1), join(place, "in.onnx")))
    yield Scene("an old file", ["in.onnx", "out.onnx"], old_output)
    yield Scene("a file that replaces itself", ["in.onnx", "in.onnx"], lambda p: save(block(1), join(p, "in.onnx")))
    yield Scene("external data over an earlier output", ["in.onnx", "out.onnx"], external)
    yield Scene("external data beside other models'", ["in.onnx", "out.onnx"], unrelated)
    yield Scene(
        "external data that replaces itself", ["in.onnx", "in.onnx"],
        lambda place: save(block(1), join(place, "in.onnx"), ["in.onnx.data", "b.bin"]),
    )
    yield Scene("an earlier output that replaces itself", ["out.onnx", "out.onnx"], lambda p: previous(p, "out.onnx", 2))
    yield Scene("unedited, side files copied", ["in.onnx", "to/out.onnx"], several)


def start(scene):
    """The program, stopped in front of its first instruction."""
    pid = os.fork()
    if pid == 0:
        os.chdir(scene.place)
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1):
            os.dup2(null, fd)
        os.dup2(os.open(os.path.join(FOLDER, "stderr"), os.O_CREAT | os.O_TRUNC | os.O_WRONLY), 2)
        if libc.ptrace(TRACEME, 0, None, None) != 0:
            os._exit(77)
        os.execv(BINARY, command(scene))
    _, status = os.waitpid(pid, 0)
    if os.WIFEXITED(status):
        print("SKIPPED: ptrace is not allowed here")
        sys.exit()
    libc.ptrace(SETOPTIONS, pid, None, OPTIONS)
    return pid


def ended_at(scene, nth, sent):
    """Runs the program and sends it a signal at its `nth` stop. The exit status, or None when it had ended before."""
    pid = start(scene)
    libc.ptrace(SYSCALL, pid, None, None)
    stops, hit = 0, False
    while True:
        thread, status = os.waitpid(-1, ALL_THREADS)
        if not os.WIFSTOPPED(status):
            if thread == pid:
                return status if hit else None
            continue
        stop = os.WSTOPSIG(status)
        if stop == signal.SIGTRAP | 0x80:
            stops += 1
            if stops == nth:
                os.kill(pid, sent)
                hit = True
        own = stop in (signal.SIGTRAP, signal.SIGTRAP | 0x80, signal.SIGSTOP)
        libc.ptrace(SYSCALL, thread, None, None if own else stop)


def tell(scene, runs, ended, lost, left):
    print(f"{scene.name}: {runs} runs, {ended} ended, {len(lost)} lost, {len(left)} left", *lost[:5], *left[:5], flush=True)


def calls():
    for scene in scenes():
        nth, lost, left, seen = 0, [], [], set()
        while True:
            nth += 1
            scene.reset()
            if ended_at(scene, nth, signal.SIGKILL) is None:
                break
            # Most system calls leave the disk as the one before did, and what is on the disk is all that a kill leaves.
            state = scene.state()
            if state in seen:
                continue
            seen.add(state)
            lost += [(nth, n) for n in scene.lost()]
            left += [(nth, n) for n in scene.left()]
            lost += [(nth, "then", n) for n in scene.lost()]
        tell(scene, nth, nth - 1, lost, left)


def at_random():
    for scene in scenes():
        times, lost, left, ended = [], [], [], 0
        for _ in range(5):
            scene.reset()
            begin = time.monotonic()
            subprocess.run(command(scene), cwd=scene.place, check=True)
            times.append(time.monotonic() - begin)
        n = 0
        while ended < COUNT // 8 and n < 10 * COUNT:
            n += 1
            scene.reset()
            child = subprocess.Popen(command(scene), cwd=scene.place)
            time.sleep(random.Random(n).uniform(0, min(times)))
            child.kill()
            ended += child.wait() != 0
            lost += [(n, m) for m in scene.lost()]
            left += [(n, m) for m in scene.left()]
        tell(scene, n, ended, lost, left)


def signals():
    """What is asked to end leaves nothing at once, and says so by its exit code."""
    for scene in scenes():
        nth, lost, left, ended = random.Random(0).randrange(5), [], [], 0
        while True:
            nth += 5
            sent = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP][nth % 3]
            scene.reset()
            status = ended_at(scene, nth, sent)
            if status is None:
                break
            code = os.waitstatus_to_exitcode(status)
            # Before the handlers stand a signal ends the program by itself.
            if code not in (0, 128 + sent, -sent):
                lost.append((nth, f"exit code {code}"))
            ended += code != 0
            with open(os.path.join(FOLDER, "stderr")) as f:
                lost += [(nth, line) for line in f if "panic" in line]
            lost += [(nth, n) for n in scene.lost()]
            left += [(nth, n) for n in scene.temporary()]
        tell(scene, nth // 5, ended, lost, left)


def limits():
    for scene in scenes():
        runs = [(resource.RLIMIT_FSIZE, size) for size in (0, 100, 2000, 20000, 40000)]
        runs += [(resource.RLIMIT_AS, size << 20) for size in [*range(4, 40, 2), *range(40, 300, 20)]]
        lost, left, ended = [], [], 0
        for which, size in runs:
            scene.reset()
            arguments = command(scene)
            if COUNT:
                arguments.remove("--no-verify")
            child = subprocess.run(
                arguments, cwd=scene.place, capture_output=True, text=True,
                preexec_fn=lambda: resource.setrlimit(which, (size, size)),
            )
            ended += child.returncode != 0
            if which == resource.RLIMIT_FSIZE and child.returncode and (
                child.returncode != 2 or "file too large" not in child.stderr.lower()
            ):
                lost.append((size, child.returncode, child.stderr))
            lost += [(size, n) for n in scene.lost()]
            if COUNT and child.returncode < 0:
                # Memory that ran out in the middle of a verification ends the program at once: the next run clears up.
                subprocess.run(command(scene), cwd=scene.place, check=True)
            left += [(size, n) for n in scene.temporary()]
        tell(scene, len(runs), ended, lost, left)


{"calls": calls, "random": at_random, "signals": signals, "limits": limits}[HOW]()
