"""IPython without a notebook, as a process of its own that is given lines."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.requirements import ROOT

LINES = """\
%load_ext hail_batch_jupyter
%batch term
items = [1, 2]
%%batch_job fit --each i=items
echo {i} | tee {fit.model}


%%batch_python total -o t
t = sum(int(open(path).read()) for path in fit.model)


%batch
%batch_run
%batch_wait
total['t'].result()
%batch_log fit[1]
%%batch_job fit --eech i=items
echo


%batch_wait fitt
%batch_save term.py
"""


def test_everything_works_in_a_terminal_with_text_instead_of_the_widget(work: Path) -> None:
    command = [sys.executable, "-m", "IPython", "--simple-prompt", "--colors=NoColor", "--no-banner", "--no-confirm-exit", "--HistoryManager.enabled=False"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "IPYTHONDIR": str(work / "ipython")}

    done = subprocess.run(command, input=LINES, capture_output=True, text=True, env=environment, check=True)

    said = done.stdout
    assert "batch 'term' (local), 3 jobs in 2 stages\n  fit ×2 → total: bash\n  total: python" in said
    assert "term: succeeded, 3 of 3 jobs done in" in said
    assert "Out[9]: 3" in said
    assert "]: 2\n" in said
    assert "batch_job has no option --eech; did you mean --each?" in said + done.stderr
    assert "there is no job 'fitt' in run" in said + done.stderr
    assert "Traceback" not in said + done.stderr
    subprocess.run([sys.executable, "term.py"], env=environment, check=True, capture_output=True)
