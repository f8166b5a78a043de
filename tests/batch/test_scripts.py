"""Scripts as people write them for `hailtop.batch`, run whole with the other import: each in a Python and a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from tests.requirements import ROOT

HELLO = """
    b = hb.Batch(name='hello')
    j = b.new_job(name='j1')
    j.command('echo "hello world"')
    b.run()
"""

FILES_ALONG_A_CHAIN = """
    backend = hb.LocalBackend()
    b = hb.Batch(backend=backend, name='greet')
    first = b.new_job(name='create')
    first.command(f'echo "good morning" > {first.ofile}')
    second = b.new_job(name='shout')
    second.command(f'tr a-z A-Z < {first.ofile} > {second.ofile}')
    b.write_output(second.ofile, 'out/shouted.txt')
    b.run()
    backend.close()
    print(open('out/shouted.txt').read(), end='')
"""

SCATTER_GATHER = """
    b = hb.Batch(name='scatter', default_cpu=0.25)
    jobs = []
    for name in ['Ada', 'Blaise', 'Charles']:
        j = b.new_job(name=name)
        j.command(f'echo "hello {name}" > {j.ofile}')
        jobs.append(j)
    sink = b.new_job(name='sink')
    sink.command('cat {} > {}'.format(' '.join([j.ofile for j in jobs]), sink.ofile))
    b.write_output(sink.ofile, 'all.txt')
    b.run()
    print(open('all.txt').read(), end='')
"""

NESTED_SCATTERS = """
    def chores(b, user):
        jobs = []
        for chore in ('laundry', 'dishes'):
            j = b.new_job(name=f'{user}-{chore}')
            j.command(f'echo "{user} does the {chore}" > {j.ofile}')
            jobs.append(j)
        done = b.new_job(name=f'{user}-done')
        done.command(f'sort {" ".join(j.ofile for j in jobs)} > {done.ofile}')
        return done

    b = hb.Batch()
    everybody = [chores(b, user) for user in ('Ada', 'Blaise')]
    summary = b.new_job(name='summary')
    summary.depends_on(*everybody)
    summary.command(f'wc -l < {everybody[0].ofile} > {summary.ofile}; cat {everybody[1].ofile} >> {summary.ofile}')
    b.write_output(summary.ofile, 'summary.txt')
    b.run()
    print(len(b.select_jobs('Ada')), open('summary.txt').read(), end='')
"""

INPUTS_AND_GROUPS = """
    for name, text in (('study.bed', '1 10 20'), ('study.bim', '1 rs1'), ('study.fam', 'a b')):
        open(name, 'w').write(text + chr(10))

    b = hb.Batch(name='groups')
    study = b.read_input_group(bed='study.bed', bim='study.bim', fam='study.fam')
    whole = b.new_job(name='by-root')
    whole.declare_resource_group(copy={'bed': '{root}.bed', 'bim': '{root}.bim'})
    whole.command(f'''
    for kind in bed bim; do
        cp {study}.$kind {whole.copy}.$kind
    done
    ''')
    one = b.new_job(name='by-member')
    one.command(f'cut -d " " -f 2 {study.bim} {whole.copy.bim} > {one.names}')
    one.names.add_extension('.txt')
    b.write_output(whole.copy, 'out/copy')
    b.write_output(one.names, 'out/names.txt')
    b.run()
    print(open('out/copy.bed').read().strip(), open('out/names.txt').read().split())
"""

SETTINGS = """
    b = hb.Batch(name='settings', attributes={'team': 'north'}, default_memory='100Mi', default_timeout=600)
    j = b.new_bash_job(name='sized', attributes={'step': 'one'}, shell='/bin/bash -o pipefail')
    j.cpu(1).memory('lowmem').storage('1Gi').timeout(60).env('WHO', "it's me").spot(False)
    j.command('echo "$WHO" > who.txt')
    j.command(f'cat who.txt > {j.ofile}')
    b.write_output(j.ofile, 'who.txt')
    b.run(verbose=False, delete_scratch_on_exit=True)
    print(open('who.txt').read(), end='')
"""

PYTHON_JOBS = """
    def add(x, y):
        return x + y

    def multiply(x, y):
        return x * y

    def report(values, path):
        return '{} from {}'.format(values['product'], open(path).read().strip())

    b = hb.Batch(name='python')
    j = b.new_python_job(name='add')
    total = j.call(add, 3, 2)
    product = j.call(multiply, 4, 5)
    text = b.new_job(name='text')
    text.command(f'echo "the sum is $(cat {total.as_str()})" > {text.ofile}')
    last = b.new_python_job(name='report')
    words = last.call(report, {'product': product}, text.ofile)
    b.write_output(words.as_str(), 'report.txt')
    b.write_output(words.as_json(), 'report.json')
    b.run()
    print(open('report.txt').read(), open('report.json').read(), sep='', end='')
"""

CHECKPOINTS = """
    import os

    def step(b, number):
        path = f'step-{number}.txt'
        if os.path.exists(path):
            return b.read_input(path)
        j = b.new_job(name=f'step {number}')
        j.command(f'echo {number} > {j.ofile}')
        b.write_output(j.ofile, path)
        return j.ofile

    for wanted in (2, 4):
        b = hb.Batch(name='checkpoints')
        files = [step(b, number) for number in range(wanted)]
        total = b.new_job(name='total')
        total.command(f"cat {' '.join(files)} | paste -s -d + - > {total.ofile}")
        b.write_output(total.ofile, 'total.txt')
        print(len(b.select_jobs('step')))
        b.run()
    print(open('total.txt').read(), end='')
"""

FAILURES = """
    import subprocess

    b = hb.Batch(name='failing')
    work = b.new_job(name='work')
    work.command(f'echo started > {work.log}; false; echo never')
    follow = b.new_job(name='follow')
    follow.depends_on(work)
    follow.command('touch ' + repr(__file__ + '.followed'))
    tidy = b.new_job(name='tidy')
    tidy.depends_on(work).always_run()
    tidy.command(f'echo tidied > {tidy.ofile}')
    b.write_output(tidy.ofile, 'tidied.txt')
    try:
        b.run()
    except subprocess.CalledProcessError as error:
        print('failed with', error.returncode)
    import os
    print(os.path.exists(__file__ + '.followed'), open('tidied.txt').read(), end='')
"""

MORE_JOBS_LATER = """
    b = hb.Batch(name='growing')
    first = b.new_job(name='first')
    first.command(f'echo once >> {first.ofile}')
    b.write_output(first.ofile, 'first.txt')
    b.run(delete_scratch_on_exit=False)
    second = b.new_job(name='second')
    second.command(f'cat {first.ofile} {first.ofile} > {second.ofile}')
    b.write_output(second.ofile, 'second.txt')
    b.run()
    print(open('second.txt').read(), end='')
    b.run()
"""

CONCATENATED = """
    b = hb.Batch(name='concatenate')
    parts = []
    for number in range(7):
        j = b.new_job(name=f'part-{number}')
        j.command(f'echo {number} > {j.ofile}')
        parts.append(j.ofile)
    b.write_output(hb.concatenate(b, parts, branching_factor=3), 'all.txt')
    b.run()
    print(open('all.txt').read().split())
"""

EXECUTOR = """
    def square(x):
        return x * x

    with hb.BatchPoolExecutor(backend=hb.LocalBackend()) as pool:
        print(list(pool.map(square, range(5))), pool.submit(lambda x: x + 1, 41).result())
"""

SUCCESS = "Batch completed successfully!\n"


@pytest.mark.parametrize(
    ("script", "printed"),
    [
        pytest.param(HELLO, SUCCESS, id="hello"),
        pytest.param(FILES_ALONG_A_CHAIN, SUCCESS + "GOOD MORNING\n", id="chain"),
        pytest.param(SCATTER_GATHER, SUCCESS + "hello Ada\nhello Blaise\nhello Charles\n", id="scatter-gather"),
        pytest.param(NESTED_SCATTERS, SUCCESS + "3 2\nBlaise does the dishes\nBlaise does the laundry\n", id="nested-scatters"),
        pytest.param(INPUTS_AND_GROUPS, SUCCESS + "1 10 20 ['rs1', 'rs1']\n", id="inputs-and-groups"),
        pytest.param(SETTINGS, SUCCESS + "it's me\n", id="settings"),
        pytest.param(PYTHON_JOBS, SUCCESS + '20 from the sum is 5\n"20 from the sum is 5"\n', id="python-jobs"),
        pytest.param(CHECKPOINTS, "2\n" + SUCCESS + "2\n" + SUCCESS + "0+1+2+3\n", id="checkpoints"),
        pytest.param(FAILURES, "failed with 1\nFalse tidied\n", id="failures"),
        pytest.param(MORE_JOBS_LATER, 2 * SUCCESS + "once\nonce\n" + SUCCESS, id="more-jobs-later"),
        pytest.param(CONCATENATED, SUCCESS + "['0', '1', '2', '3', '4', '5', '6']\n", id="concatenate"),
        pytest.param(EXECUTOR, "[0, 1, 4, 9, 16] 42\n", id="executor"),
    ],
)
def test_a_script_written_for_hailtop_runs_with_the_other_import(script: str, printed: str, tmp_path: Path) -> None:
    path = tmp_path / "script.py"
    path.write_text("import hail_batch_jupyter.batch as hb\n" + dedent(script))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HAIL_BATCH_JUPYTER_RUNS": str(tmp_path / "runs")}
    done = subprocess.run([sys.executable, "-W", "error", str(path)], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120)

    assert (done.returncode, done.stdout) == (0, printed), done.stderr
