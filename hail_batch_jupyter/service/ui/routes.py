"""Which page answers which request of a browser.

Source: the Batch Service's protocol, chapter 16, whose addresses clients print.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files as packaged
from typing import Any
from urllib.parse import parse_qs

from hail_batch_jupyter.service.api.refusal import Refusal, not_found
from hail_batch_jupyter.service.api.shapes import parsed
from hail_batch_jupyter.service.ui import batch, batches, billing, files, job, logs, person, resources, users
from hail_batch_jupyter.service.ui.graph import asker
from hail_batch_jupyter.service.ui.layout import moved
from hail_batch_jupyter.service.ui.pages import PageAsked, Pages
from hail_batch_jupyter.service.web import Answer, Route

_MOST_MESSAGES = 100
_STATIC = {
    "page.css": ("hail_batch_jupyter.service.ui", "text/css"),
    "page.js": ("hail_batch_jupyter.jupyter", "text/javascript"),
    "widget.js": ("hail_batch_jupyter.jupyter", "text/javascript"),
    "widget.css": ("hail_batch_jupyter.jupyter", "text/css"),
}


def words_of(body: bytes) -> dict[str, str]:
    """The fields of a form that was sent; the last one of each name."""
    try:
        return {name: values[-1] for name, values in parse_qs(body.decode(), keep_blank_values=True).items()}
    except (UnicodeDecodeError, ValueError) as error:
        raise Refusal(400, f"the form cannot be read ({error}); send it from the page") from error


def _static(asked: PageAsked) -> Answer:
    """A file of the pages; they hold nothing of anybody."""
    name = asked.names["file"]
    if name not in _STATIC:
        raise not_found(f"there is no file {name!r}")
    package, kind = _STATIC[name]
    path = packaged(package) / "static" / name
    if not path.is_file():
        raise not_found(f"the file {name!r} was not built with this installation")
    return Answer(path.read_bytes(), f"{kind}; charset=utf-8", headers=[("Cache-Control", "max-age=60")])


def _feed(asked: PageAsked) -> Any:
    """One turn of the widget's conversation."""
    asked.service.rules.reading.batch(asked.user, asked.names["b"])
    body = parsed(asked.request.body)
    if not isinstance(body, dict) or not _is_turn(body.get("page"), body.get("messages")):
        raise Refusal(400, "the body is not {'page': a word, 'messages': […]}; load the page again")
    asker.set(asked.user)
    return {"messages": asked.service.graphs.converse(asked.names["b"], body["page"], body["messages"])}


def _is_turn(page: object, messages: object) -> bool:
    if not isinstance(page, str) or not page.isalnum() or not isinstance(messages, list) or len(messages) > _MOST_MESSAGES:
        return False
    return all(isinstance(message, dict) for message in messages)


def _cancel(asked: PageAsked) -> Answer:
    asked.service.rules.reading.cancel(asked.user, asked.names["b"], 0, words_of(asked.request.body).get("why", ""))
    return moved(f"/batches/{asked.names['b']}")


def _delete(asked: PageAsked) -> Answer:
    asked.service.rules.reading.delete(asked.user, asked.names["b"], words_of(asked.request.body).get("why", ""))
    return moved("/batches")


def _create_project(asked: PageAsked) -> Answer:
    """Makes a project, and who makes it a member, so that it can be used."""
    name = words_of(asked.request.body).get("name", "").strip()
    rules = asked.service.rules.billing
    rules.create(asked.user, name)
    rules.add(asked.user, name, asked.user)
    return moved("/billing")


def _add_user(asked: PageAsked) -> Answer:
    asked.service.rules.billing.add(asked.user, asked.names["P"], words_of(asked.request.body).get("user", "").strip())
    return moved("/billing")


def _remove_user(asked: PageAsked) -> Answer:
    asked.service.rules.billing.remove(asked.user, asked.names["P"], asked.names["U"])
    return moved("/billing")


def _set_limit(asked: PageAsked) -> Answer:
    given = words_of(asked.request.body).get("limit", "").strip()
    asked.service.rules.billing.set_limit(asked.user, asked.names["P"], {"limit": given or None})
    return moved("/billing")


def _set_status(asked: PageAsked) -> Answer:
    rules = asked.service.rules.billing
    deeds: Mapping[str, Any] = {"close": rules.close, "reopen": rules.reopen, "delete": rules.delete}
    if asked.names["deed"] not in deeds:
        raise not_found(f"there is nothing at {asked.request.path}")
    deeds[asked.names["deed"]](asked.user, asked.names["P"])
    return moved("/billing")


PAGES: list[Route[Pages]] = [
    Route("GET", "/", lambda _: moved("/batches"), "The way to the batches."),
    Route("GET", "/static/{file}", _static, "Files of the pages.", open_to_all=True),
    Route("GET", "/login", person.login, "Asks for a token.", open_to_all=True),
    Route("POST", "/login", lambda a: person.begin(a, words_of(a.request.body)), "Begins a session.", open_to_all=True),
    Route("POST", "/logout", person.end, "Ends the session."),
    Route("GET", "/user", person.show, "Who is logged in."),
    Route("GET", "/users", users.show, "Who may use the service."),
    Route("POST", "/users/create", lambda a: users.make(a, words_of(a.request.body)), "Makes a user and shows the token."),
    Route("POST", "/users/{U}/role", lambda a: users.set_role(a, words_of(a.request.body)), "Changes a role."),
    Route("POST", "/users/{U}/login", lambda a: users.set_login(a, words_of(a.request.body)), "Changes the account for a user's jobs."),
    Route("POST", "/users/{U}/token", users.new_token, "Changes a token and shows it."),
    Route("POST", "/users/{U}/remove", users.remove, "Lets a user in no more."),
    Route("GET", "/files", files.show, "A folder of one's own files."),
    Route("GET", "/files/content", files.send, "A file."),
    Route("POST", "/files/remove", lambda a: files.remove(a, words_of(a.request.body)), "Removes a file or a folder."),
    Route("GET", "/batches", batches.show, "Batches."),
    Route("GET", "/batches/{b}", batch.show, "A batch."),
    Route("POST", "/batches/{b}/cancel", _cancel, "Cancels a batch."),
    Route("POST", "/batches/{b}/delete", _delete, "Deletes a batch."),
    Route("POST", "/batches/{b}/feed", _feed, "What the graph is told."),
    Route("GET", "/batches/{b}/jobs/{j}", job.show, "A job."),
    Route("GET", "/batches/{b}/resources", resources.show, "What the stages of a batch used."),
    Route("GET", "/batches/{b}/jobs/{j}/log/{c}", logs.send, "A log."),
    Route("GET", "/batches/{b}/jobs/{j}/log/{c}/part", logs.show_part, "A part of a log."),
    Route("GET", "/billing", billing.show, "What was spent."),
    Route("GET", "/billing.csv", billing.table_file, "The same as CSV."),
    Route("POST", "/billing_projects/create", _create_project, "Makes a project."),
    Route("POST", "/billing_projects/{P}/users/add", _add_user, "Adds a member."),
    Route("POST", "/billing_projects/{P}/users/{U}/remove", _remove_user, "Removes a member."),
    Route("POST", "/billing_projects/{P}/{deed}", _set_status, "Closes, reopens or deletes a project."),
    Route("POST", "/billing_limits/{P}/edit", _set_limit, "Limits a project."),
]
