"""The magics: each reads its line and calls the one function that does it, imported then, so that loading them costs little."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from IPython.core.magic import Magics

from hail_batch_jupyter.jupyter.cells import options
from hail_batch_jupyter.jupyter.cells.settings import batch_defaults, job_settings
from hail_batch_jupyter.jupyter.declare import argument, cell_magic, line_magic, magics_class
from hail_batch_jupyter.jupyter.desk import Desk, Shell
from hail_batch_jupyter.jupyter.plainwords import plain_words

if TYPE_CHECKING:
    import pandas as pd

    from hail_batch_jupyter.batch.batch import Batch
    from hail_batch_jupyter.cost.estimate import Estimate


@magics_class
class BatchMagics(Magics):
    """Everything that `%load_ext hail_batch_jupyter` adds."""

    shell: Shell

    def __init__(self, shell: Shell) -> None:
        super().__init__(shell)
        self.desk = Desk(shell)

    def _read(self, magic: Any, line: str) -> Any:
        return options.read_line(magic, line, self.shell.user_ns)

    @line_magic
    @argument("name", nargs="?", metavar="NAME", help="make the batch of this name, or come back to it")
    @argument("--backend", metavar="BACKEND", help="where its jobs run: local, slurm, service, or a variable in braces that holds a backend")
    @argument("--strict", action="store_true", help="refuse a job that asks for more than this machine has")
    @batch_defaults
    @argument("--reset", action="store_true", help="begin the batch anew, without jobs and without their variables; runs and written files stay")
    @argument("--drop", metavar="JOB", help="take one job out of the batch")
    def batch(self, line: str) -> Batch:
        """Make, select or show the current batch; gives the Batch.

        Without a name it shows the stages of the batch, how they follow from one another, and how their jobs stand in the last run.
        """
        parsed = self._read(BatchMagics.batch, line)
        with plain_words():
            from hail_batch_jupyter.jupyter.batches import select_batch

            return select_batch(self.desk, parsed)

    @cell_magic
    @argument("name", metavar="NAME", help="the job's name, and the variable that holds it")
    @argument("--shell", metavar="SHELL", help="instead of /bin/bash; may have options: '/bin/bash -euo pipefail'")
    @job_settings
    def batch_job(self, line: str, cell: str) -> None:
        """The cell is a job: commands of bash, in one shell that stops at the first that fails.

        {data} is a variable of the notebook, {NAME.model} a file that this job makes, {other.model} a file of another job,
        which this one then waits for; every other brace is the shell's. Of a stage {fit.model} are the files of all jobs, {fit[0].model} is one.
        Running the cell again replaces the job. An option's value may be a variable: --cpu {cores}.
        """
        parsed = self._read(BatchMagics.batch_job, line)
        with plain_words():
            from hail_batch_jupyter.jupyter.cells.define import bash_cell

            bash_cell(self.desk, parsed, cell)

    @cell_magic
    @argument("name", metavar="NAME", help="the job's name, and the variable that holds it")
    @argument("-o", dest="results", action="extend", nargs="+", default=[], metavar="VAR", help="variables of the cell that come back: NAME['VAR'].result()")
    @job_settings
    def batch_python(self, line: str, cell: str) -> None:
        """The cell is a job: Python that runs in a process of its own, not in the notebook.

        Variables that it reads come from the notebook; other.model is the path of a file, other['score'] a value of another job,
        which this one then waits for. Of a stage they are lists, with those of all jobs. NAME.table is the path of a file that this job makes.
        Running the cell again replaces the job. An option's value may be a variable: --cpu {cores}.
        """
        parsed = self._read(BatchMagics.batch_python, line)
        with plain_words():
            from hail_batch_jupyter.jupyter.cells.define import python_cell

            python_cell(self.desk, parsed, cell)

    @line_magic
    @argument("--wait", action="store_true", help="wait for the end; raises if a job failed")
    @argument("--dry-run", action="store_true", help="show what would run")
    @argument("--fresh", action="store_true", help="take no results over from earlier runs")
    @argument("--again", action="store_true", help="even beside a live run of this batch")
    @argument("--only", action="extend", nargs="+", default=[], metavar="JOB", help="these jobs and what they need")
    @argument("--strict", action="store_true", help="refuse a job that asks for more than this machine has")
    @argument("--max-cost", metavar="USD", help="start no more jobs once what was spent, and what runs will probably cost, is more")
    def batch_run(self, line: str) -> None:
        """Run what the cells say now; returns at once, the widget appears under the cell.

        What succeeded before and has not changed is taken over.
        """
        parsed = self._read(BatchMagics.batch_run, line)
        with plain_words():
            from hail_batch_jupyter.jupyter.cells.define import run_command

            run_command(self.desk, parsed)

    @line_magic
    @argument("jobs", nargs="*", metavar="JOB", help="only these; without one, the whole run")
    def batch_wait(self, line: str) -> None:
        """Wait for the run, or for some of its jobs; raises if one of them failed. An interrupt stops the waiting, not the run."""
        parsed = self._read(BatchMagics.batch_wait, line)
        with plain_words():
            from hail_batch_jupyter.jupyter.control import wait_for

            wait_for(self.desk, parsed.jobs)

    @line_magic
    @argument("file", metavar="FILE", help="a file or result of a job, fit[0].model or evaluate['score']; of a stage, fit.model, those of all its jobs")
    @argument("dest", metavar="DEST", help="where to write it; for a stage a folder, or a name with {i}, the number of the job, or {item} in it")
    def batch_output(self, line: str) -> None:
        """Write a job's file to DEST at every run from now on."""
        with plain_words():
            from hail_batch_jupyter.jupyter.cells.outputs import add_output, output_words

            print(add_output(self.desk, *output_words(BatchMagics.batch_output, line, self.shell.user_ns)))

    @line_magic
    @argument("file", metavar="FILE.py", help="where to write the script; a file of values beside it holds what cannot stand in a script, only if there is any")
    def batch_save(self, line: str) -> None:
        """Write the batch as a plain Python script that needs no notebook: python FILE.py runs it.

        Cells of bash become commands, cells of Python functions, --each loops, with the values that they have now; files keep their places.
        """
        parsed = self._read(BatchMagics.batch_save, line)
        with plain_words():
            from hail_batch_jupyter.jupyter.script.save import save_batch

            print(save_batch(self.desk.batch(), parsed.file, self.shell.user_ns))

    @line_magic
    @argument("filter", nargs="?", metavar="FILTER", help="a state, such as failed, or a part of the name")
    @argument("--attempts", action="store_true", help="one row for each try of a job")
    def batch_jobs(self, line: str) -> pd.DataFrame:
        """The jobs of the last run as a pandas DataFrame; before the first run those of the batch."""
        parsed = self._read(BatchMagics.batch_jobs, line)
        with plain_words():
            from hail_batch_jupyter.jupyter.control import jobs_table

            return jobs_table(self.desk, parsed.filter, attempts=parsed.attempts)

    @line_magic
    @argument("--jobs", action="store_true", help="one row a job instead of one a stage")
    @argument("--estimate", action="store_true", help="what running the batch as its cells are now will probably cost")
    @argument("--card", metavar="CARD", help="with --estimate: by this rate card; a name, core-hours:RATE or a file")
    def batch_cost(self, line: str) -> pd.DataFrame | Estimate:
        """What the last run has cost, and what its rest will probably cost, as a pandas DataFrame; before the first run an estimate."""
        parsed = self._read(BatchMagics.batch_cost, line)
        with plain_words():
            from hail_batch_jupyter.jupyter.tables.costtable import cost_of

            return cost_of(self.desk, jobs=parsed.jobs, before=parsed.estimate, card=parsed.card)

    @line_magic
    @argument("job", metavar="JOB", help="its name or number; fit[3], or fit for the job of a stage that failed")
    @argument("--tail", type=int, metavar="N", help="the last N lines only")
    @argument("-f", "--follow", action="store_true", help="go on until the job has ended, over all its attempts; an interrupt ends the printing only")
    def batch_log(self, line: str) -> None:
        """Print what a job of the last run wrote."""
        parsed = self._read(BatchMagics.batch_log, line)
        with plain_words():
            from hail_batch_jupyter.jupyter.control import show_log

            show_log(self.desk, parsed.job, parsed.tail, parsed.follow)

    @line_magic
    @argument("names", nargs="*", metavar="JOB", help="jobs or stages of the last run; or the id of another run, alone or before jobs of it")
    def batch_cancel(self, line: str) -> None:
        """End the last run, or only some jobs: those that run are stopped, the others do not start. Returns at once."""
        parsed = self._read(BatchMagics.batch_cancel, line)
        with plain_words():
            from hail_batch_jupyter.jupyter.control import cancel

            print(cancel(self.desk, parsed.names))

    @line_magic
    @argument("names", nargs="*", metavar="JOB", help="jobs or stages of the last run; or the id of another run, alone or before jobs of it")
    def batch_retry(self, line: str) -> None:
        """Run again what failed or was cancelled in the last run, or only these jobs, as it was then, and what follows from it; returns at once."""
        parsed = self._read(BatchMagics.batch_retry, line)
        with plain_words():
            from hail_batch_jupyter.jupyter.control import retry

            retry(self.desk, parsed.names)

    @line_magic
    @argument("run", metavar="RUN", help="id of the run, %%batch_runs lists them; name of a batch, for its newest run; or number of a batch of the service")
    def batch_attach(self, line: str) -> None:
        """Come back to a run, live or ended, of this or another notebook."""
        parsed = self._read(BatchMagics.batch_attach, line)
        with plain_words():
            from hail_batch_jupyter.jupyter.run import attach_run

            attach_run(self.desk, str(parsed.run))

    @line_magic
    @argument("--all", action="store_true", help="of every notebook on this machine")
    @argument("--clean", action="store_true", help="remove old runs first; never one that goes on, the last one of a batch or its last success")
    @argument("--older", type=float, metavar="DAYS", help="with --clean: runs that ended longer ago; without it the settings count, 30 days and 20 GB")
    def batch_runs(self, line: str) -> pd.DataFrame:
        """The runs of this notebook, newest first, as a pandas DataFrame."""
        parsed = self._read(BatchMagics.batch_runs, line)
        with plain_words():
            from hail_batch_jupyter.jupyter.control import clean_runs, runs_table

            if parsed.clean or parsed.older is not None:
                print(clean_runs(self.desk, everywhere=parsed.all, asked=parsed.clean, older_days=parsed.older))
            return runs_table(self.desk, everywhere=parsed.all)

    @line_magic
    @argument("--port", type=int, metavar="PORT", help="where a service that is started listens; any free port if left out")
    @argument("--data", metavar="DIR", help="folder for all that the service keeps; beside your runs if left out")
    @argument("--no-images", action="store_true", help="a service that is started runs jobs as processes of yours, whatever image they name")
    @argument("--slurm", action="store_true", help="a service that is started runs jobs on the Slurm cluster of this machine, by the settings slurm/…")
    @argument("--stop", action="store_true", help="end the service; jobs that run go on, and batches run where they did before")
    def batch_service(self, line: str) -> None:
        """Find your batch service on this machine, or start it; batches of this notebook run there from now on, and go on without the notebook."""
        parsed = self._read(BatchMagics.batch_service, line)
        with plain_words():
            from hail_batch_jupyter.jupyter.ownservice import service_command

            print(service_command(self.desk, parsed))
