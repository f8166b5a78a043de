"""Jobs whose work is shell text."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Self

from hail_batch_jupyter.batch.base_job import Job, stays_inside
from hail_batch_jupyter.batch.tokens import Token, split_tokens
from hail_batch_jupyter.core.draft import GroupDraft, with_entry, with_item
from hail_batch_jupyter.core.files import FileKind, FileRef
from hail_batch_jupyter.core.template import refs_of
from hail_batch_jupyter.errors import BatchException

if TYPE_CHECKING:
    from hail_batch_jupyter.core.template import Piece, Template


class BashJob(Job):
    """A job that runs commands in one shell, in order, and stops at the first that fails."""

    def command(self, command: str | Template) -> Self:
        """Append a piece of shell text; files in an f-string become paths, and what they say about order is noted.

        A tuple of pieces (see `core.template`) is taken as it is, its values quoted for their places.

        >>> j = b.new_job()
        >>> j = j.command(f'echo hello > {j.ofile}').command(f'wc -c {j.ofile}')

        Raises BatchException for a job, a batch, a result or a file that nobody makes.
        """
        self._check_open("command")
        template = _trimmed(command) if isinstance(command, tuple) else self._pieces(command)
        if not template:
            warnings.warn(f"Ignoring empty command of job {self.job_draft}; remove it, or write ':' for a command that does nothing", UserWarning, stacklevel=2)
            return self
        # Text has no lists of files; looking for them only where they can be saves a tenth of describing a job.
        refs = refs_of(template) if isinstance(command, tuple) else [piece for piece in template if isinstance(piece, FileRef)]
        for ref in refs:
            if ref.kind is FileKind.RESULT:
                raise BatchException(
                    f"found a reference to a PythonResult object, {ref.name!r}, in a command of job {self.job_draft}; "
                    "write its as_str(), as_json() or as_repr() file instead"
                )
            self._mention(ref, warn_level=2)
        self.job_draft.commands = with_item(self.job_draft.commands, template)
        return self

    def _pieces(self, command: str) -> Template:
        if not isinstance(command, str):
            raise TypeError(f"command takes shell text, and {command!r} is a {type(command).__name__}; write it as a string")
        return self.resolved(str.strip(command))

    def resolved(self, text: str) -> Template:
        """The text as pieces, a file for each token in it.

        Raises BatchException for what no script can carry, a job, a batch, or a file of another batch.
        """
        if "\0" in text or not (text.isascii() or _is_utf8(text)):
            raise BatchException(
                f"a command of job {self.job_draft} holds a character that no script can carry (NUL, or not UTF-8); write such bytes with printf '\\200'"
            )
        resolve = self.job_batch.resolve_token
        return tuple([resolve(piece, self.job_draft) if isinstance(piece, Token) else piece for piece in split_tokens(text)])

    def declare_resource_group(self, **mappings: dict[str, str]) -> Self:
        """Declare files that go together: `declare_resource_group(bfile={'bed': '{root}.bed', 'bim': '{root}.bim'})`.

        `{root}` stands for the group's own keyword, and `job.bfile` for the common root of the files' names.

        >>> b = hb.Batch()
        >>> j = b.new_job().declare_resource_group(bfile={'bed': '{root}.bed', 'bim': '{root}.bim', 'fam': '{root}.fam'})
        >>> j = j.command(f'plink --vcf data.vcf --make-bed --out {j.bfile}')
        >>> b.write_output(j.bfile, 'out/study')

        Raises BatchException for anything else in braces, and for a name that is taken.
        """
        self._check_open("declare_resource_group")
        for name, members in mappings.items():
            self._check_group(name, members)
        for name, members in mappings.items():
            self.job_draft.groups = with_entry(self.job_draft.groups, name, GroupDraft(name, dict(members)))
            self._forget(name)
        return self

    def _check_group(self, name: str, members: object) -> None:
        draft = self.job_draft
        if not isinstance(members, dict):
            raise BatchException(f"value for name {name!r} is not a dict; write {name}={{'bed': '{{root}}.bed', …}}")
        if name in draft.groups or (name in draft.files and draft.files[name].defined):
            raise BatchException(f"job {draft} already has a file or group {name!r}; give the group another name")
        for member, text in members.items():
            if not isinstance(text, str):
                raise BatchException(f"entry {member!r} of group {name!r} is not a string; write a name such as '{{root}}.{member}'")
            if {"{", "}"} & set(text.replace("{root}", "")) or "\0" in text or not stays_inside(text):
                raise BatchException(
                    f"entry {member!r} of group {name!r} is {text!r}, and only {{root}} may stand in braces, in a path below the job's folder; "
                    f"write a name such as '{{root}}.{member}'"
                )


def _trimmed(template: Template) -> Template:
    """The pieces without blanks at both ends, and () when nothing is left."""
    pieces: list[Piece] = [piece for piece in template if piece != ""]
    if pieces and isinstance(pieces[0], str):
        pieces[0] = pieces[0].lstrip()
    if pieces and isinstance(pieces[-1], str):
        pieces[-1] = pieces[-1].rstrip()
    return tuple(piece for piece in pieces if piece != "")


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
