"""Which files the jobs of a user may read and write."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from hail_batch_jupyter.compile.remote import REMOVE
from hail_batch_jupyter.service.api.refusal import Refusal
from hail_batch_jupyter.service.shelf import SCHEME, Shelf
from hail_batch_jupyter.service.users import APART
from hail_batch_jupyter.storage.uris import shown

_OUTSIDE = ("file:///", "gs://", "https://")
"""What is reached with the rights and credentials of the service by its owner."""
_GOOGLE = "gs://"
_AZURE = re.compile(r"https://[a-z0-9]{3,24}\.blob\.core\.windows\.net/[^?]+\?[^?]+", re.ASCII)
"""An address in Azure's store with a token of its own, which takes the rights of nobody here."""
_IMAGE = re.compile(r"[A-Za-z0-9][\w.:/@-]*", re.ASCII)
_OF_A_REGISTRY = re.compile(r"([\w.-]+(:[0-9]+)?/)?[\w./-]+(:[\w.-]+)?(@sha256:[0-9a-f]+)?", re.ASCII)
"""Engines also take files of the machine, such as docker-archive:/path, which are read with the rights of the service."""


class Reach(NamedTuple):
    """What a user reaches: files in the storage of the service, and in object stores with own credentials.

    For whose account the service has also files of its machine, and object stores with its credentials.

    apart   whether users are kept apart         account  whether the user has a service account at Google
    login   the account of the machine under which the jobs run, which keeps them apart by itself; '' for that of the service
    """

    user: str
    shelf: Shelf
    apart: bool
    account: bool
    login: str = ""

    @property
    def trusted(self) -> bool:
        """Whether the jobs may do what the account may under which they run."""
        return self.user == self.shelf.owner or bool(self.login)

    def check_image(self, image: str, who: str) -> None:
        """Refuse what is no name of an image, and for others than the owner a job that would run without a container."""
        if image and not _IMAGE.fullmatch(image):
            raise Refusal(400, f"job {who} has the image {image!r}, which is no name of one; write one such as ubuntu:24.04")
        if not self.trusted and not self.apart:
            raise Refusal(403, f"job {who} is not taken: {APART}")
        if not self.trusted and image and not _OF_A_REGISTRY.fullmatch(image):
            raise Refusal(400, f"job {who} has the image {image!r}, and jobs of {self.user} take those of registries only; name one such as ubuntu:24.04")
        if not self.trusted and not image:
            raise Refusal(400, f"job {who} names no image, and jobs of {self.user} run in containers only; name one such as ubuntu:24.04")

    def check(self, address: str, who: str) -> None:
        """Refuse a copy to or from an address that jobs of this user do not reach."""
        if address.startswith(SCHEME):
            self.shelf.path(self.user, address)
        elif not self._outside(address) or "\0" in address:
            raise Refusal(400, f"job {who} copies to or from {shown(address)!r}, which {self._remedy(address)}")

    def _outside(self, address: str) -> bool:
        if self.trusted:
            return address.startswith(_OUTSIDE)
        return (self.account and address.startswith(_GOOGLE)) or _AZURE.fullmatch(address) is not None

    def _remedy(self, address: str) -> str:
        if address.startswith(_GOOGLE) and not self.trusted:
            return f"takes a service account that you do not have here; an administrator gives you one with `serve user account {self.user} KEY.json`"
        more = _OUTSIDE if self.trusted else ((_GOOGLE,) if self.account else ())
        azure = "" if self.trusted else ", or of Azure's blob storage with a token (SAS)"
        return f"this service does not reach; name one of {', '.join(f'{scheme}…' for scheme in (*more, f'{SCHEME}{self.user}/'))}{azure}"

    def check_room(self, who: str) -> None:
        """Refuse a job that writes files for who has no room for any."""
        quota_bytes = self.shelf.quota_bytes
        if quota_bytes is not None and self.shelf.used_bytes(self.user) >= quota_bytes:
            raise Refusal(413, f"job {who} writes files, and you keep all of the {quota_bytes} bytes that you may; remove files that you do not need")

    def check_command(self, command: Sequence[str], who: str) -> None:
        """Refuse a removal of what is not the user's."""
        if command[0] == REMOVE:
            if len(command) != 2 or not command[1].startswith(SCHEME):
                raise Refusal(400, f"job {who} removes {list(command[1:])!r}; name one folder {SCHEME}{self.user}/…")
            self.shelf.removable(self.user, command[1])
