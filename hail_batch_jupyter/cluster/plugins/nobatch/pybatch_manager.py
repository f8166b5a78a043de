"""Starts, watches and ends jobs on a machine without a batch manager; stand-alone, for Python 3.6 or later, with the standard library only.

    pybatch_manager.py submit WORK_DIRECTORY [--wall_time SECONDS] [--ntasks N] [--total_jobs N] [--max_simul_jobs N] [--no_log] -- COMMAND...
    pybatch_manager.py wait|state|cancel PID WORK_DIRECTORY

`submit` prints the process id of a supervisor that goes on by itself. Output goes to logs/output.log and logs/error.log, of element 3 of an array to
logs/output_3.log and logs/error_3.log; logs/exit_code.log is written last, by renaming.
"""

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any, Callable, Dict, List, Optional, Set, Tuple  # noqa: F401 - two of them stand in comments, which Python 3.6 reads

GRACE_S = 10.0
LOOK_S = 0.2
WINDOWS = os.name == "nt"
NUMBERS = ("--wall_time", "--ntasks", "--total_jobs", "--max_simul_jobs")
FLAGS = ("--no_log",)
USAGE = "usage: pybatch_manager.py submit WORK_DIRECTORY [options] -- COMMAND... | wait|state|cancel PID WORK_DIRECTORY\n"
DIARY = "pybatch.log"
NODEFILE = "batch_nodefile.txt"
NOTE = os.path.join("logs", ".supervisor.json")
EXIT = os.path.join("logs", "exit_code.log")


class UsageError(Exception):
    """Arguments that make no sense."""


class Job:
    """One request to run a command, perhaps several times.

    folder  absolute; command  argument vector; numbers  values of NUMBERS, 0 where not given
    """

    def __init__(self, folder: str, command: List[str], numbers: Dict[str, int], quiet: bool) -> None:
        self.folder = os.path.abspath(folder)
        self.command = command
        self.limit_s = numbers["--wall_time"]
        self.ntasks = numbers["--ntasks"]
        self.total = max(1, numbers["--total_jobs"])
        self.at_once = max(1, numbers["--max_simul_jobs"])
        self.quiet = quiet

    def path(self, *names: str) -> str:
        return os.path.join(self.folder, *names)

    def argv(self, index: int) -> List[str]:
        return self.command + ([str(index)] if self.total > 1 else [])

    def log(self, stem: str, index: int) -> str:
        return self.path("logs", "%s_%d.log" % (stem, index) if self.total > 1 else stem + ".log")


def main(args_list: Optional[List[str]] = None) -> int:
    """The exit status: 0, or 2 for wrong arguments."""
    args = list(sys.argv[1:] if args_list is None else args_list)
    try:
        action = args.pop(0) if args else ""
        if action in ("submit", "run"):
            job = parse_job(args)
            submit(job) if action == "submit" else run(job, None)
        elif action in ("wait", "state", "cancel") and len(args) == 2:
            {"wait": wait, "state": tell_state, "cancel": cancel}[action](int(args[0]), os.path.abspath(args[1]))
        else:
            raise UsageError(action)
    except (UsageError, ValueError) as error:
        sys.stderr.write(USAGE + str(error) + "\n")
        return 2
    return 0


def parse_job(args: List[str]) -> "Job":
    """A Job from arguments; what follows `--`, or the first word that is no option, is the command."""
    if not args:
        raise UsageError("the work directory is missing")
    folder, rest = args[0], args[1:]
    numbers = dict.fromkeys(NUMBERS, 0)
    flags = set()  # type: Set[str]
    while rest and rest[0] in NUMBERS + FLAGS:
        name = rest.pop(0)
        if name in FLAGS:
            flags.add(name)
        elif not rest:
            raise UsageError("%s needs a number" % name)
        else:
            numbers[name] = int(rest.pop(0))
    command = rest[1:] if rest[:1] == ["--"] else rest
    if not command:
        raise UsageError("the command is missing")
    return Job(folder, command, numbers, "--no_log" in flags)


# --- starting


def submit(job: "Job") -> None:
    """Start a supervisor that outlives this process, and print its process id when it is at work."""
    os.makedirs(job.path("logs"), exist_ok=True)
    for name in os.listdir(job.path("logs")):
        if name.endswith(".log") or name == os.path.basename(NOTE):
            os.remove(job.path("logs", name))
    diary(job, "submit %r" % job.command)
    if WINDOWS:
        submit_detached(job)
        return
    mine, theirs = os.pipe()
    if os.fork():
        os.close(theirs)
        with os.fdopen(mine) as pipe:
            pid = pipe.read().strip()
        os.wait()
        if not pid:
            raise RuntimeError("the supervisor did not start; see logs/manager.log")
        sys.stdout.write(pid + "\n")
        return
    os.close(mine)
    os.setsid()
    if os.fork():
        os._exit(0)
    try:
        redirect(job)
        run(job, lambda: tell(theirs))
    finally:
        os._exit(0)


def tell(pipe: int) -> None:
    """Say the process id to who waits for it."""
    os.write(pipe, b"%d" % os.getpid())
    os.close(pipe)


def redirect(job: "Job") -> None:
    """No terminal and no pipe of whoever asked: input is empty, output is the manager's own log."""
    log = os.devnull if job.quiet else job.path("logs", "manager.log")
    for path, flags, number in ((os.devnull, os.O_RDONLY, 0), (log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 1)):
        opened = os.open(path, flags, 0o666)
        os.dup2(opened, number)
        os.close(opened)
    os.dup2(1, 2)


def submit_detached(job: "Job") -> None:
    """Windows has no fork: this script again, in a process group of its own."""
    options = ["--wall_time", job.limit_s, "--ntasks", job.ntasks, "--total_jobs", job.total, "--max_simul_jobs", job.at_once]
    argv = [sys.executable, os.path.abspath(__file__), "run", job.folder] + [str(word) for word in options]
    argv += (["--no_log"] if job.quiet else []) + ["--"] + job.command
    with open(job.path("logs", "submit_std.log"), "wb") as out, open(job.path("logs", "submit_err.log"), "wb") as err:
        made = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, creationflags=0x00000008 | 0x00000200)
    while not os.path.exists(job.path(NOTE)) and made.poll() is None:
        time.sleep(0.02)
    sys.stdout.write("%d\n" % made.pid)


# --- supervising


class Stop:
    """Whether somebody asked for the end."""

    asked = False


def run(job: "Job", ready: Optional[Callable[[], object]]) -> None:
    """Run all elements, at most `at_once` together, and write the exit code of the first that failed, by index."""
    for name in ("SIGTERM", "SIGINT"):
        signal.signal(getattr(signal, name), ask_to_stop)
    for name in ("SIGHUP", "SIGPIPE"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    write(job.path(NOTE), json.dumps({"pid": os.getpid(), "started": start_of(os.getpid())}))
    if ready:
        ready()
    codes = {}  # type: Dict[int, int]
    try:
        environment = prepare(job)
        Supervisor(job, environment, codes).run()
        code = next((codes[index] for index in sorted(codes) if codes[index]), 0)
    except Exception as error:  # the reason belongs where the user looks
        with open(job.log("error", 0), "a") as log:
            log.write("The job could not be run: %s\n" % error)
        code = 127
    if Stop.asked and not code:
        code = -signal.SIGTERM
    diary(job, "exit code %d" % code)
    write(job.path(EXIT), str(int(code)))


def ask_to_stop(number: int, frame: object) -> None:
    """Note it; the supervisor looks several times a second."""
    Stop.asked = True


def prepare(job: "Job") -> Dict[str, str]:
    """The environment of the job, after writing its file of nodes where one is asked for (one line a task)."""
    environment = dict(os.environ)
    environment.pop("LIBBATCH_NODEFILE", None)
    if job.ntasks:
        write(job.path(NODEFILE), (socket.gethostname() + "\n") * job.ntasks)
        environment["LIBBATCH_NODEFILE"] = job.path(NODEFILE)
    return environment


class Supervisor:
    """The elements of one job that run now; codes: index -> exit code of those that ended."""

    def __init__(self, job: "Job", environment: Dict[str, str], codes: Dict[int, int]) -> None:
        self.job = job
        self.environment = environment
        self.codes = codes
        self.ends = queue.Queue()  # type: "queue.Queue[Tuple[int, int]]"
        self.running = {}  # type: Dict[int, subprocess.Popen[bytes]]
        self.limits = {}  # type: Dict[int, float]
        self.stopping = {}  # type: Dict[int, float]

    def run(self) -> None:
        waiting = list(range(self.job.total))
        while self.running or (waiting and not Stop.asked):
            while waiting and len(self.running) < self.job.at_once and not Stop.asked:
                self.start(waiting.pop(0))
            self.look()
        for index in waiting:
            self.codes[index] = -signal.SIGTERM

    def start(self, index: int) -> None:
        job = self.job
        with open(job.log("output", index), "wb") as out, open(job.log("error", index), "wb") as err:
            try:
                child = subprocess.Popen(job.argv(index), cwd=job.folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err, **new_group())
            except (OSError, ValueError) as error:
                err.write(("The program could not be started: %s\n" % error).encode("utf-8", "replace"))
                self.codes[index] = 127
                return
        diary(job, "element %d is process %d" % (index, child.pid))
        self.running[index] = child
        if job.limit_s:
            self.limits[index] = time.monotonic() + job.limit_s
        threading.Thread(target=lambda: self.ends.put((index, child.wait())), daemon=True).start()

    def look(self) -> None:
        """Wait a moment for an end, then end what is over its time or is to be cancelled."""
        try:
            index, code = self.ends.get(timeout=LOOK_S)
        except queue.Empty:
            pass
        else:
            self.ended(index, code)
        now = time.monotonic()
        for index in list(self.running):
            if index not in self.stopping and (Stop.asked or now >= self.limits.get(index, now + 1)):
                diary(self.job, "element %d is told to end" % index)
                self.stopping[index] = now + GRACE_S
                kill_group(self.running[index].pid, signal.SIGTERM)
            elif now >= self.stopping.get(index, now + 1):
                kill_group(self.running[index].pid, getattr(signal, "SIGKILL", signal.SIGTERM))

    def ended(self, index: int, code: int) -> None:
        child = self.running.pop(index)
        deadline = self.stopping.pop(index, None)
        if deadline is not None:
            empty_group(child.pid, deadline)
            code = -signal.SIGTERM
        self.codes[index] = code


def new_group() -> Dict[str, Any]:
    """Arguments of Popen for a process that can be ended with all that it starts."""
    return {"creationflags": 0x00000200} if WINDOWS else {"start_new_session": True}


def kill_group(pid: int, number: int) -> None:
    """Signal a process and all that it started; one that is gone is no error."""
    if WINDOWS:
        subprocess.call(["taskkill", "/F", "/T", "/PID", str(pid)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        pass


def empty_group(pid: int, deadline: float) -> None:
    """Return when nothing of the group is left: told to end until the deadline, killed then."""
    while not WINDOWS and group_lives(pid):
        if time.monotonic() >= deadline:
            kill_group(pid, signal.SIGKILL)
        time.sleep(0.02)


def group_lives(group: int) -> bool:
    """Whether anything of a process group still runs."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not only_zombies(group)


def only_zombies(group: int) -> bool:
    """Whether all that is left of a group waits to be reaped by a first process that does not."""
    if not os.path.isdir("/proc/self"):
        return False
    states = [fields[0] for fields in map(stat_of, filter(str.isdigit, os.listdir("/proc"))) if fields and fields[2] == str(group)]
    return all(state == "Z" for state in states)


def stat_of(pid: object) -> List[str]:
    """The fields of /proc/PID/stat from the state on, [] of a process that is gone."""
    try:
        with open("/proc/%s/stat" % pid) as file:
            return file.read().rpartition(")")[2].split()
    except (OSError, ValueError):
        return []


# --- asking


def tell_state(pid: int, folder: str) -> None:
    """Print the state."""
    sys.stdout.write(state(pid, folder) + "\n")


def state(pid: int, folder: str) -> str:
    """RUNNING, FINISHED or FAILED; the exit code decides first, then whether the supervisor lives."""
    code = exit_code(folder)
    if code is None and alive(pid, folder):
        return "RUNNING"
    code = exit_code(folder) if code is None else code
    return "FINISHED" if code == 0 else "FAILED"


def exit_code(folder: str) -> Optional[int]:
    """What stands in logs/exit_code.log, None where nothing does."""
    try:
        with open(os.path.join(folder, EXIT)) as file:
            return int(file.read())
    except (OSError, ValueError):
        return None


def alive(pid: int, folder: str) -> bool:
    """Whether this very supervisor lives; a process that got its number later does not count."""
    try:
        with open(os.path.join(folder, NOTE)) as file:
            note = json.load(file)
    except (OSError, ValueError):
        return False
    return note.get("pid") == pid and start_of(pid) not in ("", None) and note.get("started") == start_of(pid)


def start_of(pid: int) -> str:
    """When a process began, in the system's own words; '' of one that is gone or a zombie."""
    if WINDOWS:
        query = ["powershell", "-NoProfile", "-Command", "(Get-Process -Id %d).StartTime.Ticks" % pid]
    elif os.path.isdir("/proc/self"):
        fields = stat_of(pid)
        return fields[19] if fields and fields[0] != "Z" else ""
    else:
        query = ["ps", "-o", "lstart=", "-p", str(pid)]
    done = subprocess.Popen(query, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return done.communicate()[0].decode("ascii", "replace").strip()


def wait(pid: int, folder: str) -> None:
    """Return when the job has ended."""
    pause = 0.02
    while state(pid, folder) == "RUNNING":
        time.sleep(pause)
        pause = min(pause * 1.5, 1.0)


def cancel(pid: int, folder: str) -> None:
    """Tell the supervisor to end the job; an ended one is no error."""
    if exit_code(folder) is not None or not alive(pid, folder):
        return
    if WINDOWS:
        kill_group(pid, signal.SIGTERM)
        write(os.path.join(folder, EXIT), str(-int(signal.SIGTERM)))
        return
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        pass


def write(path: str, text: str) -> None:
    """A file that a reader never sees half written."""
    new = path + ".new"
    with open(new, "w") as file:
        file.write(text)
    os.replace(new, path)


def diary(job: "Job", text: str) -> None:
    """Add a line with the time to the diary."""
    if not job.quiet:
        with open(job.path(DIARY), "a") as file:
            file.write("%s %s\n" % (time.strftime("%Y-%m-%dT%H:%M:%S"), text))


if __name__ == "__main__":
    sys.exit(main())
