"""Runs the attempts of one task of an array on a node, one after the other; stand-alone, for Python 3.6 or later, with the standard library only.

    task.py FOLDER SUBMISSION

FOLDER is that of the run's Slurm jobs, and line n of SUBMISSION.list has the attempts of task n. Of each attempt two words are left in FOLDER/words, each
written whole or not at all: `12.1.began` and `12.1.ended`, as `observe.slurm_jobs` reads them. TERM ends the task; USR1 means that FOLDER/stops has
something to say about the present attempt.
"""

import os
import signal
import sys
import time

AFTER_S = 0.2
"""What ends a command is sent to this process as well, perhaps a moment later."""
KILLED = (137, 143)
CLIENT_S = 1.0
"""What a container gets to end by itself; the client of an engine that is killed leaves it behind."""
CGROUPS = "/sys/fs/cgroup"
ROOM = 256
"""As long as a word is, and more."""


class Node:
    """The task as a process: what it was told, and the attempt that it runs."""

    def __init__(self, folder: str, submission: str) -> None:
        self.folder = folder
        self.submission = submission
        self.name = os.environ.get("SLURMD_NODENAME", "") or os.uname().nodename
        self.restart = int(os.environ.get("SLURM_RESTART_COUNT", "") or 0)
        self.signalled = False
        self.attempt = ""
        self.child = 0
        self.clean = ""
        self.out_of_memory = oom_counter()
        signal.signal(signal.SIGTERM, self.on_term)
        signal.signal(signal.SIGUSR1, self.on_look)
        signal.signal(signal.SIGALRM, self.on_alarm)

    def on_term(self, number: int, frame: object) -> None:
        """Slurm ends the task."""
        self.signalled = True
        self.send(signal.SIGTERM)
        if self.clean:
            signal.setitimer(signal.ITIMER_REAL, CLIENT_S)

    def on_alarm(self, number: int, frame: object) -> None:
        """A container did not listen, and it is removed before this process is killed, too."""
        self.send(signal.SIGKILL)

    def on_look(self, number: int, frame: object) -> None:
        """The runner has left an order for one attempt."""
        order = self.order()
        if order:
            self.send(signal.SIGKILL if order == "KILL" else signal.SIGTERM)

    def order(self) -> str:
        """What the runner wants of the present attempt: '', 'TERM' or 'KILL'."""
        try:
            with open(os.path.join(self.folder, "stops", self.attempt)) as file:
                return file.read().strip()
        except OSError:
            return ""

    def send(self, number: int) -> None:
        """Signal the command and all that it started."""
        if self.child:
            try:
                os.killpg(self.child, number)
            except (ProcessLookupError, PermissionError):
                pass

    def run(self) -> int:
        """Every attempt of this task; the exit code of the last that did not succeed."""
        code = 0
        for attempt in self.attempts():
            if self.signalled or os.path.exists(os.path.join(self.folder, "closed")):
                break
            if self.is_open(attempt):
                self.attempt = attempt
                code = self.run_one(attempt) or code
        return 143 if self.signalled and not code else code

    def attempts(self) -> "list[str]":
        """Those of this task; none when the folder is closed or gone."""
        try:
            with open(os.path.join(self.folder, self.submission + ".list")) as file:
                return file.read().split("\n")[int(os.environ["SLURM_ARRAY_TASK_ID"])].split()
        except OSError:
            return []

    def is_open(self, attempt: str) -> bool:
        """Whether it is still to be run: of a task that was put back into the queue some attempts may have ended before."""
        if not self.restart:
            return True
        if not os.path.exists(os.path.join(self.folder, "tasks", attempt + ".sh")):
            return False
        ended = os.path.join(self.folder, "words", attempt + ".ended")
        try:
            with open(ended) as file:
                code, signalled = file.read().split()[:2]
        except OSError:
            return True
        os.unlink(ended) if signalled == "1" or int(code) in KILLED else None
        return not os.path.exists(ended)

    def run_one(self, attempt: str) -> int:
        """One attempt from its first word to its last."""
        began = time.time()
        self.say(attempt + ".began", "{} {} {}\n".format(self.restart, milliseconds(began), self.name))
        if not self.reserve(attempt + ".ended"):
            return 1  # nobody would hear that it had run, and it would be run again
        if self.order():
            self.ended(attempt, 143, began, "0", 0.0, False)
            return 143
        code, peak, cpu_s, reason = self.command(attempt)
        if code:
            time.sleep(AFTER_S)
        count = oom_counter()
        full, self.out_of_memory = count > self.out_of_memory, count
        self.ended(attempt, code, began, peak, cpu_s, full, reason)
        return code

    def ended(self, attempt: str, code: int, began: float, peak: str, cpu_s: float, full: bool, reason: str = "") -> None:
        facts = (code, int(self.signalled), self.restart, milliseconds(began), milliseconds(time.time()), peak, "%.3f" % cpu_s, int(full), self.name)
        self.say(attempt + ".ended", " ".join(map(str, facts)) + ("\n" + reason if reason else "") + "\n")

    def command(self, attempt: str) -> "tuple[int, str, float, str]":
        """Run the script of an attempt in a session of its own: exit code, peak of its largest process, seconds of all, why it could not start."""
        script = os.path.join(self.folder, "tasks", attempt + ".sh")
        try:
            with open(script, encoding="utf-8", errors="surrogateescape") as file:
                log, directory, self.clean, report = (file.readline()[2:-1] for _ in range(4))
            os.chdir(directory)
            output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            return 126, "0", 0.0, "{}: {}".format(error.strerror, error.filename)
        self.child = os.fork()
        if not self.child:
            start(script, output)
        os.close(output)
        if self.signalled or self.order():
            self.send(signal.SIGTERM)  # what came before there was a process to send it to
        _, status, usage = os.wait4(self.child, 0)
        self.send(signal.SIGKILL)
        self.child = 0
        code = 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        if code and self.clean:
            os.system(self.clean + " > /dev/null 2>&1")
        peak, cpu_s = reported("{}.{}".format(report, self.restart)) if report else (of_process(usage.ru_maxrss), usage.ru_utime + usage.ru_stime)
        return code, peak, cpu_s, ""

    def reserve(self, name: str) -> bool:
        """Take the room of a word, so that it can be left when the command has filled the disk."""
        return self.write(name, " " * ROOM)

    def say(self, name: str, text: str) -> None:
        """Leave a word, in the room that was taken for it if any was."""
        if self.write(name, text):
            path = os.path.join(self.folder, "words", name)
            os.rename(path + ".new", path)

    def write(self, name: str, text: str) -> bool:
        """Write a word that nobody sees yet; a full disk is waited for, since a job without a word may be run again."""
        path = os.path.join(self.folder, "words", name + ".new")
        for pause_s in (0.1, 1, 5, 10, 20, 0):
            try:
                with open(path, "r+" if os.path.exists(path) else "w") as file:
                    file.write(text)
                    file.truncate()
                return True
            except OSError:
                if not pause_s or not os.path.isdir(self.folder):
                    return False
                time.sleep(pause_s)
        return False


def start(script: str, output: int) -> None:
    """In the child: become the script; never returns."""
    try:
        os.setsid()
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGALRM, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (output, 1), (output, 2)):
            os.dup2(source, target)
        os.execv("/bin/bash", ["bash", script])
    finally:
        os._exit(126)


def of_process(peak_kib: int) -> str:
    """Bytes of a process, '<' before them where it may have been less: the system counts what this process had as the job's, and roughly."""
    with open("/proc/self/status") as file:
        own_kib = max([int(line.split()[1]) for line in file if line.startswith("VmHWM:")] or [0])
    return "{}{}".format("<" if peak_kib <= own_kib * 1.02 else "", peak_kib * 1024)


def reported(path: str) -> "tuple[str, float]":
    """Bytes and seconds that were used in a container, as is measured there, for its client says nothing about it; 0 where nothing was measured."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            peak, cpu_us = os.read(file, 64).split()
        finally:
            os.close(file)
        return str(int(peak)), int(cpu_us) / 1e6
    except (OSError, ValueError):
        return "0", 0.0


def milliseconds(moment: float) -> int:
    """Since the epoch."""
    return int(moment * 1000)


def oom_counter() -> int:
    """How often the kernel has killed for want of memory in the control group of this job; 0 where it does not say."""
    count = 0
    try:
        with open("/proc/self/cgroup") as file:
            lines = file.read().split("\n")
    except OSError:
        return 0
    for line in lines:
        controllers, _, path = line.partition(":")[2].partition(":")
        if "/job_" not in path:
            continue  # a group that others are in as well
        if controllers == "memory":
            count += counted(CGROUPS + "/memory" + path + "/memory.oom_control")
        elif not controllers:
            count += counted(CGROUPS + path + "/memory.events")
    return count


def counted(path: str) -> int:
    """The number behind 'oom_kill' in a file."""
    try:
        with open(path) as file:
            return sum(int(line.split()[1]) for line in file if line.startswith("oom_kill "))
    except (OSError, ValueError):
        return 0


if __name__ == "__main__":
    sys.exit(Node(sys.argv[1], sys.argv[2]).run())
