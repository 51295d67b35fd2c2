"""Objects on the wire."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from tandem.api.appdeployment_status import AppDeploymentStatus, RevisionRecord
from tandem.api.meta import to_json


def test_a_status_equals_what_the_api_server_gives_back_or_it_would_be_written_for_ever() -> None:
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    told = to_json(AppDeploymentStatus(observed_generation=1, revisions=(RevisionRecord(revision=1, retire_at=at),)))
    assert told == json.loads(json.dumps(told))
    assert told["revisions"] == [{"revision": 1, "retireAt": "2026-03-01T12:00:00Z"}]
