"""Values and paths arrive unharmed wherever they stand: shown by the shells themselves."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from hail_batch_jupyter.compile.shellplaces import HOLE, Place
from hail_batch_jupyter.compile.shellscan import scan
from hail_batch_jupyter.compile.shelltext import quote_path, quote_value, render
from hail_batch_jupyter.core.files import FileKind, FileRef
from hail_batch_jupyter.core.template import Files, Template, Value, Values
from hail_batch_jupyter.errors import TemplateError

FILE = FileRef(FileKind.INPUT, 1)
OTHER = FileRef(FileKind.FILE, 2, "o")

SPECIAL = "\"'`$\\ \n\t!*?[]{}()#;&|<>~=-%EOF0189abcdefx"
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0") | st.sampled_from(SPECIAL), max_size=12)
slow = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


def run(script: str, shell: str = "bash", cwd: Path | None = None, **env: str) -> str:
    """Standard output of the script; raises when it fails or says anything on standard error."""
    done = subprocess.run([shell, "-c", script], check=False, capture_output=True, cwd=cwd, env={**os.environ, "LC_ALL": "C.UTF-8", **env})
    assert (done.returncode, done.stderr.decode()) == (0, ""), script
    return done.stdout.decode()


def template(text: str, *words: Value | Values | FileRef | Files) -> Template:
    """`text` with each `@@` replaced by the next word."""
    parts = text.split("@@")
    assert len(parts) == len(words) + 1
    pieces: list[str | Value | Values | FileRef | Files] = [parts[0]]
    for word, part in zip(words, parts[1:], strict=True):
        pieces += [word, part]
    return tuple(pieces)


def rendered(text: str, *words: Value | Values | FileRef | Files, path: str = "inputs/x/a b.txt") -> str:
    return render(template(text, *words), lambda ref: path if ref == FILE else "job-1/o")


PLAIN_PLACES = {
    "bare": ("printf %s. @@", Place.BARE),
    "double": ('printf %s. "@@"', Place.DOUBLE),
    "single": ("printf %s. '@@'", Place.SINGLE),
    "heredoc": ("cat <<E_O_F\n@@.\nE_O_F\n", Place.HEREDOC),
    "heredoc quoted": ("cat <<'E_O_F'\n@@.\nE_O_F\n", Place.HEREDOC_QUOTED),
    "heredoc escaped": ("cat <<\\E_O_F\n@@.\nE_O_F\n", Place.HEREDOC_QUOTED),
    "heredoc double-quoted": ('cat << "E_O_F"; true\n@@.\nE_O_F\n', Place.HEREDOC_QUOTED),
    "heredoc with tabs": ("cat <<-E_O_F\n\t\t@@.\n\tE_O_F\n", Place.HEREDOC),
    "heredoc with tabs, quoted": ("cat <<-'E_O_F'\n\t@@.\n\tE_O_F\n", Place.HEREDOC_QUOTED),
    "after a comment": ("# it's\nprintf %s. @@", Place.BARE),
    "behind other words": ("x=1; printf %s. \"${x#1}\"@@''", Place.BARE),
    "substitution": ('y="$(printf %s. @@)"; printf %s "$y"', Place.BARE),
    "substitution, double": ('y="$(printf %s. "@@")"; printf %s "$y"', Place.DOUBLE),
    "substitution, heredoc": ("y=$(cat <<E_O_F\n@@.\nE_O_F\n); printf %s \"$y\"", Place.HEREDOC),
    "backquotes": ("y=`printf %s. @@`; printf %s \"$y\"", Place.BARE),
    "backquotes, single": ("y=`printf %s. '@@'`; printf %s \"$y\"", Place.SINGLE),
    "backquotes, double": ('y=`printf %s. "@@"`; printf %s "$y"', Place.DOUBLE),
    "backquotes within double": ('printf %s "`printf %s. @@`"', Place.BARE),
    "backquotes in backquotes": ("y=`printf %s \"\\`printf %s. '@@'\\`\"x`; printf %s \"${y%x}\"", Place.SINGLE),
    "default": ("printf %s. ${none:-@@}", Place.BARE),
    "default in double": ('printf %s. "${none:-@@}"', Place.DOUBLE_WORD),
    "default in double, quoted": ('printf %s. "${none:-"@@"}"', Place.DOUBLE_IN_WORD),
    "default in heredoc": ("cat <<E_O_F\n${none:-@@}.\nE_O_F\n", Place.DOUBLE_WORD),
    "suffix in double": ('t=$(printf x%sx. @@); s="x${t#x@@}"; printf %s. "@@${s#xx.}"', None),
    "case": ("case x in (y) ;; x) printf %s. @@ ;; esac", Place.BARE),
    "case pattern": ("v=@@; case $v in y|@@) printf %s. \"$v\" ;; esac", None),
    "substitution with case": ("y=$(case x in x) printf %s. \"@@\" ;; esac); printf %s \"$y\"", Place.DOUBLE),
    "function": ("f() { printf %s. \"$1\"; }; f @@", Place.BARE),
    "command name": ("f() { printf %s. \"$2\"; }\nf '' @@", Place.BARE),
}  # fmt: skip
BASH_PLACES = {
    "ansi": ("printf %s. $'@@'", Place.ANSI),
    "ansi after an escape": ("[[ $'\\x4@@' == $'\\x4'* ]] && printf %s. $'@@'", Place.ANSI),
    "here-string": ("read -r -d '' <<<@@.; printf %s \"${REPLY%?}\"", None),
    "process substitution": ("cat <(printf %s. @@)", Place.BARE),
    "test": ("[[ @@ == @@ && ! -z 1 ]] && printf %s. @@", None),
    "array": ("a=(case @@ # it's\n); printf %s. \"${a[1]}\"", Place.BARE),
    "key": ("declare -A m; m[k]=@@; printf %s. \"${m[k]}\"", Place.BARE),
    "replacement": ('t=a/b; printf %s. "${t/"a/b"/@@}"', Place.DOUBLE_WORD),
    "array in a substitution": ("y=$(a=('@@' \n@@); printf %s. \"${a[1]}\"); printf %s \"$y\"", None),
    "single in a pattern": ("x=@@; printf %s. \"@@${x#'@@'}\"", None),
    "several heredocs": ("cat <<A - 3<<'B'\n@@.\nA\nit's\nB\n", None),
}  # fmt: skip


SHELLS = [(f"{shell}: {name}", shell, *case) for shell in ("bash", "sh") for name, case in PLAIN_PLACES.items()]
SHELLS += [(f"bash: {name}", "bash", *case) for name, case in BASH_PLACES.items()]


NASTY = [
    "", "a", "12", " a  b ", "it's", 'say "hi"', "$HOME ${x} $(id) `id`", "\\", "\\\\\\", "a\\\nb", "\n", "a\n\n", "\tx\n\ty", "-n", "-rf /", "#c", "~/*?[a]!",
    "x}y{a,b}z{1..3}", "a=b,c", "if", "é€😀\x80\x85\xa0", "\x01\x7f\r", "'\"$`\\'", "&|;<>()", "!!", "EOF", "E_O_F x", "%s%d",
]  # fmt: skip


def printed(text: str, out: str) -> str:
    """The output without the line end that a here-document's last line has."""
    return out.removesuffix("\n") if text.startswith("cat <<") else out


@pytest.mark.parametrize(("shell", "text", "place"), [pytest.param(*case, id=name) for name, *case in SHELLS])
def test_a_value_arrives_unharmed(shell: str, text: str, place: Place | None) -> None:
    holes = text.count("@@")
    found = scan(text.replace("@@", HOLE)).places
    assert len(found) == holes
    if place is not None:
        assert found == [place] * holes
    for value in NASTY:
        script = rendered(text, *[Value(value)] * holes)

        assert printed(text, run(script, shell)) == f"{value}.", script


@slow
@given(case=st.sampled_from([*PLAIN_PLACES.values(), *BASH_PLACES.values()]), value=texts)
@example(case=BASH_PLACES["ansi"], value="1")
def test_any_value_arrives_unharmed_in_any_place(case: tuple[str, Place | None], value: str) -> None:
    text = case[0]
    script = rendered(text, *[Value(value)] * text.count("@@"))

    assert printed(text, run(script)) == f"{value}."


@slow
@given(case=st.sampled_from(list(PLAIN_PLACES.values())), value=texts)
def test_any_value_arrives_unharmed_in_a_posix_shell(case: tuple[str, Place | None], value: str) -> None:
    assume("E" not in value or value.isascii())  # dash 0.5.12 itself drops a byte of a document's line that begins like its delimiter: Eé for EOF
    text = case[0]
    script = rendered(text, *[Value(value)] * text.count("@@"))

    assert printed(text, run(script, "sh")) == f"{value}."


@slow
@given(value=texts, place=st.sampled_from([Place.BARE, Place.DOUBLE, Place.SINGLE, Place.ANSI]))
def test_a_quoted_value_is_one_word_by_itself(value: str, place: Place) -> None:
    around = {Place.BARE: ("", ""), Place.DOUBLE: ('"', '"'), Place.SINGLE: ("'", "'"), Place.ANSI: ("$'", "'")}[place]

    assert run(f"printf '%s.' {around[0]}{quote_value(value, place)}{around[1]}") == f"{value}."


@pytest.mark.parametrize(("shell", "text"), [pytest.param(shell, text, id=name) for name, shell, text, _ in SHELLS])
@pytest.mark.parametrize("path", ["o", "job-1/o", "inputs/x/a b.txt", 'inputs/it\'s "$x" `y`\\{a,b}*.txt', "-é\n1"])
def test_a_path_arrives_unharmed(shell: str, text: str, path: str) -> None:
    script = rendered(text, *[FILE] * text.count("@@"), path=path)
    scratch = "/tmp/a scratch/it's $here"

    assert printed(text, run(script, shell, BATCH_TMPDIR=scratch)) == f"{scratch}/{path}."


@slow
@given(case=st.sampled_from([*PLAIN_PLACES.values(), *BASH_PLACES.values()]), path=texts)
def test_any_path_arrives_unharmed_in_any_place(case: tuple[str, Place | None], path: str) -> None:
    text = case[0]
    script = rendered(text, *[FILE] * text.count("@@"), path=path)
    whole = f"/a b/{path}" if path else "/a b"

    assert printed(text, run(script, BATCH_TMPDIR="/a b")) == f"{whole}."


@pytest.mark.parametrize(
    "command",
    ["cat @@", 'cat "@@"', "cat '@@'", "cat $'@@'", "cat <@@", 'x="@@"; cat "$x"', 'cat "${x:-@@}"', "eval cat \"'@@'\"", "cat @@*", "cat '@@'*"],
)
@pytest.mark.parametrize("name", ["plain.txt", 'we ird (x) "q" $y.txt', "[a]*?.txt", "~é#.txt"])
def test_a_path_names_the_real_file(tmp_path: Path, command: str, name: str) -> None:
    scratch = tmp_path / "scratch folder"
    scratch.mkdir()
    (scratch / name).write_text("content")

    assert run(rendered(command, FILE, path=name), BATCH_TMPDIR=str(scratch)) == "content"


def test_text_and_globs_glued_to_a_path_go_on_with_its_name(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch folder"
    (scratch / "job 1").mkdir(parents=True)
    script = rendered("echo 5 >@@5; echo b >@@.txt; cat @@* @@.{txt,txt}; ls @@[0-9]", *[FILE] * 5, path="job 1/o")

    assert run(script, BATCH_TMPDIR=str(scratch)) == f"b\n5\nb\nb\n{scratch}/job 1/o5\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sort @@ > @@", 'sort "${BATCH_TMPDIR}"/inputs/x/\'a b.txt\' > "${BATCH_TMPDIR}"/job-1/o'),
        ('sort "@@" > "@@.txt"', 'sort "${BATCH_TMPDIR}/inputs/x/a b.txt" > "${BATCH_TMPDIR}/job-1/o.txt"'),
        ("awk '@@' '@@'", "awk ''\"${BATCH_TMPDIR}\"'/inputs/x/a b.txt' ''\"${BATCH_TMPDIR}\"'/job-1/o'"),
        ("cat <<E\n@@ @@\nE", "cat <<E\n${BATCH_TMPDIR}/inputs/x/a b.txt ${BATCH_TMPDIR}/job-1/o\nE"),
        ("cat <<'E' # @@\n$x \\ ` @@\nE", "cat <<E # ${BATCH_TMPDIR}/inputs/x/a b.txt\n\\$x \\\\ \\` ${BATCH_TMPDIR}/job-1/o\nE"),
    ],
)  # fmt: skip
def test_paths_read_well(text: str, expected: str) -> None:
    assert rendered(text, FILE, OTHER) == expected


def test_lists_are_one_word_each() -> None:
    words: list[Values | Files] = [Values(("a b", "", "c")), Files((FILE, OTHER)), Values(()), Values(("x y", "$z"))]

    out = run(rendered("printf '<%s>' @@ @@ @@ --x=\"@@\"", *words), BATCH_TMPDIR="/t")

    assert out == "<a b><><c></t/inputs/x/a b.txt></t/job-1/o><--x=x y $z>"


def test_text_without_holes_is_returned_as_it_is() -> None:
    text = "cat <<'E'\n{}\nE\necho \"$x\" '"

    assert render((text[:5], text[5:]), str) == text
    assert render((text,), str) == text
    assert render((), str) == ""


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        pytest.param(r"printf %s \@@", "a b", "a b", id="backslash before a bare hole"),
        pytest.param(r'printf %s "\@@"', '$x"', r"\$x" + '"', id="backslash in double quotes"),
        pytest.param(r"printf %s \\@@", "$x", r"\$x", id="escaped backslash"),
        pytest.param("printf %s $@@", "'a b'", "$'a b'", id="dollar before a bare hole"),
        pytest.param('printf %s "$@@"', "(id)", "$(id)", id="dollar in double quotes"),
        pytest.param("x=1; printf %s $x@@", "y", "1y", id="variable before a bare hole"),
        pytest.param('x=1; printf %s "$x@@"', "y", "1y", id="variable in double quotes"),
        pytest.param('set -- 1; printf %s "$1@@"', "0", "10", id="parameter in double quotes"),
        pytest.param("x=1; cat <<E\n$x@@$@@\\@@\nE\n", "y", "1y$y\\y\n", id="in a here-document"),
        pytest.param("x=1; y=`printf %s \"$x@@\"`; printf %s \"$y\"", "y", "1y", id="variable in backquotes"),
        pytest.param("echo @@>/dev/fd/1; echo @@ >&1; echo x1@@>/dev/fd/1", "2", "2\n2\nx12\n", id="a number before a redirection"),
        pytest.param("echo $((@@ + 1)) $(( (@@<<1) ))", "4", "5 8\n", id="arithmetic"),
        pytest.param("i=7; ((i = @@ << 1)); for ((j = @@; j < 1; j++)); do :; done; echo $i # EOF", "4", "8\n", id="arithmetic command"),
        pytest.param("for i in {1..@@}; do printf $i; done", "3", "123", id="brace expansion"),
        pytest.param("a=(x y z); echo ${a[@@]} \"${a[@@]}\" ${a[*]:@@}", "2", "z z z\n", id="subscript"),
        pytest.param("x=ab.c.c; echo ${x%@@} \"${x%@@}\" ${x%%@@*}", ".c", "ab.c ab.c ab\n", id="suffix"),
        pytest.param("x='a*b'; echo \"${x/@@/-}\" \"${x#a@@}\"", "*", "a-b b\n", id="a star is no pattern"),
        pytest.param("((true) && echo @@)", "it's", "it's\n", id="two subshells"),
        pytest.param("[[ 'a(b)' =~ ^a(\\(b@@)$ ]] && echo ok '#'@@", ")", "ok #)\n", id="regular expression"),
        pytest.param("echo a#'@@' ${#a} $# \"@@\" # it's @@", "'", "a#' 0 0 '\n", id="hash signs"),
        pytest.param("f() { case $1 in (a|b) echo 1;; c) echo \"@@\";; esac }; f c; echo @@", "x y", "x y\nx y\n", id="case in a function"),
        pytest.param("(case x in x) echo '@@' ;; esac); echo @@", "x y", "x y\nx y\n", id="case in a subshell"),
        pytest.param("diff <(echo @@) <(echo \"@@\") && cat <<<@@", "a  b", "a  b\n", id="process substitution"),
    ],
)  # fmt: skip
def test_a_value_beside_shell_text_keeps_both(text: str, value: str, expected: str) -> None:
    assert run(rendered(text, *[Value(value)] * text.count("@@"))) == expected


@pytest.mark.parametrize(
    "operator",
    ["<<'E'", '<<"E"', "<<\\E", "<< 'E'", "<<-'E'", "<<'E F'", "<<'$E'", "<<'-E'", "<<''", "<<E'F'"],
)  # fmt: skip
def test_a_quoted_here_document_keeps_its_text_around_a_path(operator: str) -> None:
    close = operator.lstrip("<").lstrip(" ").replace("\\", "") if operator != "<<-'E'" else "E"
    body = "$HOME \\$x \\ `id` $(id) \"'\\\\ it's\nline\\\n"
    text = f"cat {operator} ; echo done\n{body}@@ @@\n{close.replace(chr(39), '').replace(chr(34), '')}\necho end"

    out = run(rendered(text, Value("\\$v"), FILE), BATCH_TMPDIR="/s s")

    assert out == f"{body}\\$v /s s/inputs/x/a b.txt\ndone\nend\n"


def test_tabs_of_a_value_survive_a_document_that_strips_them() -> None:
    text = "cat <<-E\n\tone\n\t\t@@\n\tE\necho end"

    assert run(rendered(text, Value("\ta\n\tb"))) == "one\n\ta\n\tb\nend\n"


def test_documents_within_substitutions_within_documents() -> None:
    text = "cat <<A\n1 $(cat <<'B'\n$x @@\nB\n) \"@@\"\nA\ncat <<C <<\\D\nunseen\nC\n`date` @@\nD\n"

    out = run(rendered(text, FILE, Value("$y"), FILE), BATCH_TMPDIR="/s")

    assert out == '1 $x /s/inputs/x/a b.txt "$y"\n`date` /s/inputs/x/a b.txt\n'


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("cat <<EOF\n@@\nEOF", "a\nEOF\nb"),
        ("cat <<'EOF'\n@@\nEOF", "EOF"),
        ("cat <<-EOF\n\t@@\n\tEOF", "a\nEOF\n"),
        ("cat <<EOF\nE@@\nEOF", "OF"),
        ("cat <<EOF\n$(echo @@)\nEOF", "a\nEOF\nb"),
        ("x=`cat <<EOF\n@@\nEOF\n`", "EOF"),
    ],
)
def test_a_value_that_would_end_its_document_is_refused(text: str, value: str) -> None:
    with pytest.raises(TemplateError, match=r"here-document <<EOF: the value .*OF.* makes a line 'EOF', which would end it early; use another delimiter"):
        rendered(text, Value(value))


@pytest.mark.parametrize("value", ["a\nEOFx\nb", "EOF ", " EOF", "a\n\tEOF"])
def test_a_line_like_the_delimiter_is_no_end(value: str) -> None:
    assert run(rendered("cat <<EOF\n@@\nEOF", Value(value))) == f"{value}\n"


def test_nul_characters_are_refused_everywhere() -> None:
    with pytest.raises(TemplateError, match=r"the value 'a\\x00b' holds a NUL character.*use its Path"):
        rendered("echo @@", Value("a\0b"))
    with pytest.raises(TemplateError, match=r"the path 'a\\x00b' holds a NUL character"):
        rendered("echo @@", FILE, path="a\0b")
    with pytest.raises(TemplateError, match=r"the command .* holds a NUL character"):
        rendered("echo \0 @@", Value("a"))
    with pytest.raises(TemplateError, match=r"the command .* holds a NUL character"):
        rendered("echo \0")
    with pytest.raises(TemplateError, match="NUL"):
        quote_path("\0", Place.DOUBLE)


def test_a_text_that_nests_too_deeply_is_refused() -> None:
    with pytest.raises(TemplateError, match="nests quotes or parentheses too deeply; move a part of it into a script"):
        rendered("$(" * 5000 + "@@", Value("a"))


def test_unfinished_text_is_left_to_the_shell() -> None:
    simple = ["echo '@@", 'echo "@@', "echo $(@@", "echo ${x:-@@", "echo `@@", "echo $((@@", "case x in @@"]
    for text in [*simple, "cat <<E\n@@", "cat <<'E'\n@@", "cat <<-'E F'\n\t@@"]:
        assert "$v" in rendered(text, Value("$v")).replace("\\", "")
        assert "${BATCH_TMPDIR}" in rendered(text, FILE)


@slow
@given(st.text("ab '\"\\$`(){}[]<>#;&|\n\tEOF=!*0@-", max_size=40))
def test_the_scanner_finds_every_hole_of_any_text(text: str) -> None:
    flat = text.replace("@", HOLE)

    assert len(scan(flat).places) == flat.count(HOLE)
    assert [mark.start for mark in scan(flat).marks] == sorted(mark.start for mark in scan(flat).marks)
