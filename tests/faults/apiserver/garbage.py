"""The garbage collector: what all of whose owners are gone goes, too, a moment later."""

from __future__ import annotations

import asyncio

from tests.faults.apiserver.database import Change, Database, Place


class Garbage:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._scheduled = False
        self._paused = False
        database.listeners.append(self._look)

    @property
    def busy(self) -> bool:
        return self._scheduled

    def pause(self) -> None:
        """From now on nothing is collected."""
        self._paused = True

    def _look(self, change: Change) -> None:
        orphaned = change.type == "DELETED" or change.object["metadata"].get("ownerReferences")
        if orphaned and not (self._scheduled or self._paused):
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._collect)

    def _collect(self) -> None:
        self._scheduled = False
        uids = {body["metadata"]["uid"] for body in self._database.all().values()}
        for place, body in self._database.all().items():
            owners = body["metadata"].get("ownerReferences") or ()
            if owners and not any(owner["uid"] in uids for owner in owners) and self._still(place):
                self._database.remove(place)

    def _still(self, place: Place) -> bool:
        return self._database.get(place) is not None
