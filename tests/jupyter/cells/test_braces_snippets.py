"""Shell as people write it: every brace that is the shell's, awk's or jq's stays, every variable of the notebook arrives."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from hail_batch_jupyter.compile.shelltext import render
from hail_batch_jupyter.core.files import FileKind, FileRef
from hail_batch_jupyter.jupyter.cells.braces import Insert, fill, to_piece


class Snippet(NamedTuple):
    """A cell, the shell text it becomes ('' for itself), what it prints, and the tool without which it cannot be run."""

    cell: str
    text: str = ""
    output: str | None = None
    tool: str = "bash"


TABLE = "chr1\t100\tA\nchr2\t200\tC\nchr2\t300\tG\n"
DATA = '{"name": "s1", "hits": [1, 2, 3]}\n'

NAMESPACE: dict[str, object] = {
    "sample": "NA 12878",
    "quote": 'it\'s "$HOME"',
    "n": 3,
    "rate": 0.12345,
    "table": Path("in/my table.tsv"),
    "data": Path("in/data.json"),
    "names": ["a", "b c"],
    "tables": [Path("in/my table.tsv"), Path("in/data.json")],
    "flags": "-n -r",
    "config": {"out": "x y", "depth": [10, 20]},
}
IN = '"${BATCH_TMPDIR}"/in/'
TABLE_BARE = IN + "'my table.tsv'"

UNTOUCHED = {
    "parameter": Snippet('HOME=/h; echo ${HOME} "${HOME}/x" \'${HOME}\'', output="/h /h/x ${HOME}\n"),
    "suffix": Snippet('bam=a/b.bam; echo ${bam%.bam} ${bam##*/} "${bam/b/c}" ${#bam}', output="a/b b.bam a/c.bam 7\n"),
    "default": Snippet('unset x; echo "${x:-none}" ${x:=1} ${x:+set}', output="none 1 set\n"),
    "indirect": Snippet('x=y; y=1; echo ${!x} "${x^^}" ${x@Q}', output="1 Y 'y'\n"),
    "sequence": Snippet("echo {1..3} {a..c} {01..03} {1..9..4}", output="1 2 3 a b c 01 02 03 1 5 9\n"),
    "alternatives": Snippet("echo {a,b} x{1,2}y {x,}.txt file.{txt,log}", output="a b x1y x2y x.txt .txt file.txt file.log\n"),
    "nested alternatives": Snippet("echo {a,b{1,2}}{,z}", output="a az b1 b1z b2 b2z\n"),
    "empty braces": Snippet("echo {} a{}b", output="{} a{}b\n"),
    "for": Snippet("for i in {1..3}; do echo -n $((i * 2)),; done", output="2,4,6,"),
    "group": Snippet("{ echo a; echo b; } | tail -1", output="b\n"),
    "function": Snippet('f() { local x=$1; echo "<${x}>"; }\nf a', output="<a>\n"),
    "one-line function": Snippet("f(){ echo 1;};f", output="1\n"),
    "array": Snippet('a=(x "y z"); echo "${a[@]}" ${#a[@]} ${!a[@]} "${a[-1]}"', output="x y z 2 0 1 y z\n"),
    "associative array": Snippet('declare -A m=([k]=v); for k in "${!m[@]}"; do echo $k ${m[$k]}; done', output="k v\n"),
    "arithmetic": Snippet("i=1; ((i += 1 << 3)); echo $((i ** 2)) ${i}", output="81 9\n"),
    "case": Snippet("case a.gz in *.{x,y}) echo no;; (*.gz|*.bz2) echo yes;; esac", output="yes\n"),
    "test": Snippet('[[ chr12 =~ ^chr([0-9]{1,2})$ ]] && echo ${BASH_REMATCH[1]}', output="12\n"),
    "descriptor": Snippet("exec {lock}>lockfile; flock -n $lock && echo got; exec {lock}>&-", output="got\n", tool="flock"),
    "here-document": Snippet("x=1; cat <<EOF\n${x} {} { a }\nEOF", output="1 {} { a }\n"),
    "quoted here-document": Snippet("cat <<'EOF'\n{unknown} ${x} f\"{y}\"\nEOF", output='{unknown} ${x} f"{y}"\n'),
    "python in a here-document": Snippet("python3 - <<'EOF'\nd = {1: 'a'}\nfor key in d: print(f\"{key}-{d[key]}\")\nEOF", output="1-a\n", tool="python3"),
    "python in quotes": Snippet("python3 -c 'x = {\"a\": 1}; print(f\"{x} {len(x):>3}\")'", output="{'a': 1}   1\n", tool="python3"),
    "find -exec": Snippet("find in -name '*.json' -exec echo {} +", output="in/data.json\n", tool="find"),
    "find -exec sh": Snippet("find in -name '*.json' -exec sh -c 'echo \"${1##*/}\"' _ {} \\;", output="data.json\n", tool="find"),
    "xargs": Snippet("printf '%s\\n' a b | xargs -I{} echo x{}y", output="xay\nxby\n", tool="xargs"),
    "awk": Snippet("awk '{print $1}' in/*.tsv", output="chr1\nchr2\nchr2\n", tool="awk"),
    "awk print alone": Snippet("awk '$2 > 150 {print}' in/*.tsv", output="chr2\t200\tC\nchr2\t300\tG\n", tool="awk"),
    "awk blocks": Snippet("awk -F'\\t' 'BEGIN {s = 0} {s += $2} END {printf \"%d\\n\", s}' in/*.tsv", output="600\n", tool="awk"),
    "awk array": Snippet("awk '{seen[$1]++} END {for (k in seen) {c++}; print c}' in/*.tsv", output="2\n", tool="awk"),
    "awk next": Snippet("awk '/chr1/{next}{print $2}' in/*.tsv", output="200\n300\n", tool="awk"),
    "awk in double quotes": Snippet('awk "{print \\$2}" in/*.tsv', output="100\n200\n300\n", tool="awk"),
    "awk interval": Snippet("echo aab | sed -E 's/a{2}/x/'", output="xb\n", tool="sed"),
    "sed block": Snippet("printf 'a\\nb\\n' | sed -n '/a/{s/a/c/;p}'", output="c\n", tool="sed"),
    "sed basic interval": Snippet("echo aaa | sed 's/a\\{2\\}/x/'", output="xa\n", tool="sed"),
    "jq object": Snippet("jq -c '{name, total: (.hits | add)}' in/data.json", output='{"name":"s1","total":6}\n', tool="jq"),
    "jq short object": Snippet("jq -c '{name}' in/data.json", output='{"name":"s1"}\n', tool="jq"),
    "jq path": Snippet("jq -c '{n:.name}' in/data.json", output='{"n":"s1"}\n', tool="jq"),
    "perl": Snippet(
        "perl -ne 'chomp; @f = split /\\t/; $h{$f[0]}++; END {print join(\",\", map {\"$_=$h{$_}\"} sort keys %h), \"\\n\"}' in/*.tsv",
        output="chr1=1,chr2=2\n",
        tool="perl",
    ),
    "printf": Snippet("printf '{%s}\\n' a; printf \"{%05d}\\n\" 7", output="{a}\n{00007}\n"),
    "comment": Snippet("echo a # the {unknown} variable, it's\necho b", output="a\nb\n"),
    "json body": Snippet("echo '{\"id\": 1, \"tags\": [\"x\"], \"o\": {\"a\": {}}}'", output='{"id": 1, "tags": ["x"], "o": {"a": {}}}\n'),
    "escaped json": Snippet('id=7; echo "{\\"id\\": ${id}, \\"a\\": {\\"b\\": 1}}"', output='{"id": 7, "a": {"b": 1}}\n'),
    "backslash": Snippet("echo \\{sample} \\{unknown\\}", output="{sample} {unknown}\n"),
    "curl": Snippet("curl -s -o /dev/null -w \"%{http_code}\\n\" -d '{\"a\": 1}' http://localhost:1/"),
    "docker": Snippet("docker ps --format '{{.Names}}\\t{{.State}}' --filter status=running"),
    "docker json": Snippet("docker inspect -f \"{{json .Config.Env}}\" {{.ID}}"),
    "docker range": Snippet("docker inspect -f '{{range .Mounts}}{{.Source}}{{else}}none{{end}}' box"),
    "kubectl": Snippet("kubectl get pods -o jsonpath='{.items[*].metadata.name}{\"\\n\"}'"),
    "git": Snippet("git log @{u}..HEAD; git diff HEAD@{1} v1^{commit} main@{upstream} stash@{0}"),
    "rpm": Snippet('rpm -qa --qf "%{NAME} %{VERSION}\\n"'),
    "parallel": Snippet("parallel echo {1} {2} {.} {/} {#} ::: a b ::: c d"),
    "bcftools": Snippet("bcftools query -f '%CHROM\\t%POS[\\t%GT]\\n' in.vcf.gz | awk '{n[$3]++} END{for(g in n) print g, n[g]}'"),
    "samtools": Snippet("samtools view in.bam chr{1..22} chr{X,Y} | cut -f1 | sort -u | wc -l"),
    "plink": Snippet("for c in {1..22}; do plink --bfile chr${c} --freq --out chr${c}_{freq,}; done"),
    "snakemake text": Snippet("grep -c '{input}' Snakefile; grep '{output.bam}' Snakefile"),
    "latex": Snippet("echo '\\textbf{Table} \\cite{smith2001}'", output="\\textbf{Table} \\cite{smith2001}\n"),
}  # fmt: skip

FILLED = {
    "text": Snippet("echo {sample}", "echo 'NA 12878'", "NA 12878\n"),
    "text in double quotes": Snippet('echo "<{sample}> {quote}"', "echo \"<NA 12878> it's \\\"\\$HOME\\\"\"", "<NA 12878> it's \"$HOME\"\n"),
    "text in single quotes": Snippet("echo '{quote}'", "echo 'it'\"'\"'s \"$HOME\"'", "it's \"$HOME\"\n"),
    "awk program": Snippet("awk -v s={sample} '$2 > {n}00 {print s, $2}' {table}", f"awk -v s='NA 12878' '$2 > 300 {{print s, $2}}' {TABLE_BARE}", "", "awk"),
    "awk threshold": Snippet("awk '$2 >= {n}00 {print $3}' < {table}", f"awk '$2 >= 300 {{print $3}}' < {TABLE_BARE}", "G\n", "awk"),
    "awk file in program": Snippet(
        "awk 'BEGIN {while ((getline line < \"{table}\") > 0) k++; print k}'",
        "awk 'BEGIN {while ((getline line < \"'\"${BATCH_TMPDIR}\"'/in/my table.tsv\") > 0) k++; print k}'",
        "3\n",
        "awk",
    ),
    "jq argument": Snippet(
        "jq -c --arg s {sample} '{name: $s, n: .hits[{n} - 1]}' {data}",
        f"jq -c --arg s 'NA 12878' '{{name: $s, n: .hits[3 - 1]}}' {IN}data.json",
        '{"name":"NA 12878","n":3}\n',
        "jq",
    ),
    "sed": Snippet("sed -E 's/chr([0-9]{1,2})/{n}/' {data} | wc -l", f"sed -E 's/chr([0-9]{{1,2}})/3/' {IN}data.json | wc -l", "1\n", "sed"),
    "sequence": Snippet("for i in {1..{n}}; do echo -n $i; done", "for i in {1..3}; do echo -n $i; done", "123"),
    "expansion": Snippet('x=a3; echo "${x%{n}}" ${y:-{sample}}', 'x=a3; echo "${x%3}" ${y:-\'NA 12878\'}', "a NA 12878\n"),
    "redirection": Snippet("echo {n}>out; cat out", "echo '3'>out; cat out", "3\n"),
    "arithmetic": Snippet("echo $(({n} * 2)) $(( {n}<<1 ))", "echo $((3 * 2)) $(( 3<<1 ))", "6 6\n"),
    "here-document": Snippet("cat <<EOF\n{sample} {quote} {{n}}\nEOF", "cat <<EOF\nNA 12878 it's \"\\$HOME\" {n}\nEOF", "NA 12878 it's \"$HOME\" {n}\n"),
    "quoted here-document": Snippet("cat <<'EOF'\n{quote} $x {unknown}\nEOF", "cat <<'EOF'\nit's \"$HOME\" $x {unknown}\nEOF", "it's \"$HOME\" $x {unknown}\n"),
    "file in a quoted here-document": Snippet(
        "cat <<'EOF' | sh\nwc -l < \"{table}\"\nEOF",
        "cat <<EOF | sh\nwc -l < \"${BATCH_TMPDIR}/in/my table.tsv\"\nEOF",
        "3\n",
        "wc",
    ),
    "python script": Snippet(
        "python3 - <<'EOF'\nrows = open('{table}').read().split('\\n')\nprint(f\"{len(rows)} {rows[0]!r}\")\nEOF",
        "python3 - <<EOF\nrows = open('${BATCH_TMPDIR}/in/my table.tsv').read().split('\\\\n')\nprint(f\"{len(rows)} {rows[0]!r}\")\nEOF",
        "4 'chr1\\t100\\tA'\n",
        "python3",
    ),
    "formats": Snippet("echo {rate:.2f} {n:05d} x{n:>3}", "echo 0.12 00003 x'  3'", "0.12 00003 x  3\n"),
    "raw": Snippet("echo a {flags!s} b", "echo a -n -r b", "a -n -r b\n"),
    "list": Snippet("printf '<%s>' {names}", "printf '<%s>' a 'b c'", "<a><b c>"),
    "list of files": Snippet("cat {tables} | wc -l", f"cat {TABLE_BARE} {IN}data.json | wc -l", "4\n"),
    "items": Snippet("echo {config['out']} {config[\"depth\"][-1]}", "echo 'x y' 20", "x y 20\n"),
    "double braces": Snippet("echo {{sample}} '{{n:03d}}' {{sample.upper}}", "echo {sample} '{n:03d}' {sample.upper}", "{sample} {n:03d} {sample.upper}\n"),
    "json": Snippet(
        "echo '{\"n\": {n}, \"o\": {\"s\": \"{sample}\"}, \"l\": [{n}]}'",
        'echo \'{"n": 3, "o": {"s": "NA 12878"}, "l": [3]}\'',
        '{"n": 3, "o": {"s": "NA 12878"}, "l": [3]}\n',
    ),
    "glued": Snippet("x=1; echo $x{n} \"$x{sample}\" a{n}b {n}{n} user@{n}", "x=1; echo ${x}3 \"${x}NA 12878\" a3b 33 user@3", "13 1NA 12878 a3b 33 user@3\n"),
    "substitution": Snippet(
        'echo "$(wc -l < {table}) `wc -l < "{table}"`"',
        f'echo "$(wc -l < {TABLE_BARE}) `wc -l < \\"${{BATCH_TMPDIR}}/in/my table.tsv\\"`"',
        "3 3\n",
        "wc",
    ),
    "curl body": Snippet(
        "curl -d '{\"sample\": \"{sample}\"}' -w '%{http_code}' \"http://localhost/{n}?q={rate:.1f}\"",
        "curl -d '{\"sample\": \"NA 12878\"}' -w '%{http_code}' \"http://localhost/3?q=0.1\"",
        None,
        "curl",
    ),
    "samtools": Snippet("samtools view -@ {n} {table} chr{1..22} > {data}", f"samtools view -@ 3 {TABLE_BARE} chr{{1..22}} > {IN}data.json", None, "samtools"),
    "docker": Snippet(
        "docker run --rm -v {table}:/t:ro --name s{n} img --format '{{.State}} {n}'",
        f"docker run --rm -v {TABLE_BARE}:/t:ro --name s3 img --format '{{{{.State}}}} 3'",
        None,
        "docker",
    ),
    "perl": Snippet(
        "perl -lane 'print \"$F[0]:{sample}\" if $. == {n}' {table}",
        f"perl -lane 'print \"$F[0]:NA 12878\" if $. == 3' {TABLE_BARE}",
        "chr2:NA 12878\n",
        "perl",
    ),
    "find": Snippet("find in -name '*.tsv' -size -{n} -exec wc -l {} +", "find in -name '*.tsv' -size -3 -exec wc -l {} +", "3 in/my table.tsv\n", "find"),
    "function": Snippet('f() { echo "$1: {sample}"; }; f {n}', "f() { echo \"$1: NA 12878\"; }; f 3", "3: NA 12878\n"),
    "case": Snippet("case {n} in {n}) echo {sample};; esac", "case 3 in 3) echo 'NA 12878';; esac", "NA 12878\n"),
}  # fmt: skip


def as_file(value: object) -> FileRef | None:
    return FileRef(FileKind.INPUT, 0, str(value)) if isinstance(value, Path) else None


def shell_text(cell: str) -> str:
    pieces = [to_piece(piece, as_file) if isinstance(piece, Insert) else piece for piece in fill(cell, NAMESPACE)]
    return render(tuple(pieces), lambda ref: ref.name)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scratch") / "a folder"
    (folder / "in").mkdir(parents=True)
    (folder / "in" / "my table.tsv").write_text(TABLE)
    (folder / "in" / "data.json").write_text(DATA)
    return folder


def printed(text: str, scratch: Path) -> str:
    env = {**os.environ, "BATCH_TMPDIR": str(scratch), "LC_ALL": "C.UTF-8"}
    done = subprocess.run(["bash", "-c", text], cwd=scratch, env=env, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, ""), text
    return done.stdout


@pytest.mark.parametrize("snippet", [pytest.param(snippet, id=name) for name, snippet in UNTOUCHED.items()])
def test_the_shells_own_braces_stay(snippet: Snippet, scratch: Path) -> None:
    assert shell_text(snippet.cell) == snippet.cell
    if snippet.output is not None and shutil.which(snippet.tool):
        assert printed(snippet.cell, scratch) == snippet.output


@pytest.mark.parametrize("snippet", [pytest.param(snippet, id=name) for name, snippet in FILLED.items()])
def test_the_notebooks_variables_arrive(snippet: Snippet, scratch: Path) -> None:
    text = shell_text(snippet.cell)

    assert text == snippet.text
    if snippet.output is not None and shutil.which(snippet.tool):
        assert printed(text, scratch) == snippet.output


def test_the_table_is_as_long_as_it_claims() -> None:
    assert len(UNTOUCHED) + len(FILLED) >= 80
