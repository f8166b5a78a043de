"""The page of a user's own files in the storage of the service."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote, unquote

from hail_batch_jupyter.core.units import format_bytes
from hail_batch_jupyter.service.folders import Entry
from hail_batch_jupyter.service.shelf import SCHEME
from hail_batch_jupyter.service.ui.html import Child, Html, row, table, tag
from hail_batch_jupyter.service.ui.layout import button, form, link, moved, page, sure, used_of
from hail_batch_jupyter.service.ui.pages import PageAsked
from hail_batch_jupyter.service.web import Answer

PAGE = 200
_HEADS = ("Name", "Size", "Changed (UTC)", "What to do")


def show(asked: PageAsked) -> Answer:
    """A folder of who asks: what is in it, and how much that is."""
    files, folder = asked.service.rules.files, asked.query.get("path", "").strip("/")
    found, more = files.folder(asked.user, folder, asked.query.get("after", ""), PAGE)
    place = files.place(asked.user)
    rows = [_entry(asked, folder, entry) for entry in found]
    none = tag("p", "Nothing is here yet. ", tag("code", f"hail-batch-jupyter copy FILE {SCHEME}{asked.user}/data/"), " brings a file.")
    return page(
        asked.request,
        "Files",
        tag("p", used_of(place["used_bytes"], place["quota_bytes"])),
        _way(asked.user, folder),
        table("Files and folders", _HEADS, rows) if rows else none,
        link("/files", "More files", {"path": folder, "after": _sent(found[-1].name)}, rel="next") if more else None,
    )


def send(asked: PageAsked) -> Answer:
    """A file, to be kept and not to be shown."""
    path = asked.query.get("path", "")
    found = asked.service.rules.files.content(asked.user, path, asked.request.headers.get("range"))
    name = quote(path.rpartition("/")[2], safe="")
    return found._replace(headers=[*found.headers, ("Content-Disposition", f"attachment; filename*=UTF-8''{name}")])


def remove(asked: PageAsked, words: dict[str, str]) -> Answer:
    """Remove a file or a folder, and show where it was."""
    path = unquote(words.get("path", ""))
    asked.service.rules.files.remove_inside(asked.user, path)
    folder = path.rpartition("/")[0]
    return moved(f"/files?path={quote(folder, safe='')}" if folder else "/files")


def _way(user: str, folder: str) -> Html:
    """The folders above, each a link."""
    parts: list[Child] = [link("/files", f"{SCHEME}{user}", aria_current=None if folder else "page")]
    names = folder.split("/") if folder else []
    for depth, name in enumerate(names, 1):
        last = depth == len(names)
        parts += [" / ", link("/files", shown_name(name), {"path": "/".join(names[:depth])}, aria_current="page" if last else None)]
    return tag("nav", *parts, aria_label="Folders", class_="way")


def _entry(asked: PageAsked, folder: str, entry: Entry) -> Html:
    path, name = f"{folder}/{entry.name}" if folder else entry.name, shown_name(entry.name)
    size = format_bytes(entry.n_bytes) if entry.counted else f"more than {format_bytes(entry.n_bytes)}"
    changed = datetime.fromtimestamp(entry.changed_s, UTC)
    when = tag("time", changed.strftime("%Y-%m-%d %H:%M:%S"), datetime=changed.isoformat())
    if _sent(entry.name) != entry.name:
        return row(name, size, when, tag("span", "its name is no text", class_="muted"))
    way = link("/files", f"{name}/", {"path": path}) if entry.folder else link("/files/content", name, {"path": path}, download=True)
    field = tag("input", type="hidden", name="path", value=quote(path, safe="/"))  # browsers change the ends of lines in what they send
    kind = f"the folder {name} and all that is in it" if entry.folder else name
    gone = sure("Remove…", f"Remove… {name}", form(asked.request, "/files/remove", field, button(f"Remove {kind}")))
    return row(way, size, when, gone)


def shown_name(name: str) -> str:
    """A name as people read it: signs that cannot be seen are written out."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape", "surrogatepass").decode() for sign in name)


def _sent(name: str) -> str:
    """The name as a browser can send it: what is no text has a sign in its place."""
    return "".join("\ufffd" if "\ud800" <= sign <= "\udfff" else sign for sign in name)
