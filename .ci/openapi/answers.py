"""The answers that schemathesis cannot bring about, checked against openapi.yaml: bodies that are too long, second pages, and
what is said when DynamoDB is gone. And all answers that it should have brought about: whether it did.

answers.py URL [without-dynamodb | without-events | without-provider | slowly]: of the gateway, and what it has to do without. Without
events it has no credentials of server APIs either; without a provider all of these fail.
"""

import collections
import concurrent.futures
import csv
import io
import json
import os
import sys
import time

import requests
import schemathesis

import hooks

url = sys.argv[1]
schema = schemathesis.openapi.from_path("openapi.yaml")
operations = [result.ok() for result in schema.get_all_operations()]
# API Gateway's, and an error that no request can cause.
OTHERS = {"403", "500"}
BY_HAND = {"202", "409", "413", "502", "503"}


def declared(operation):
    return set(operation.responses.status_codes)


def ask(operation, status, body=None, **parameters):
    """Asks for JSON."""
    return respond(operation, status, body, **parameters).json()


def respond(operation, status, body=None, **parameters):
    """Asks, signs if it is a callback, and expects this status and an answer as openapi.yaml describes it."""
    names = {"provider": "zego", "user": hooks.USER, "room": hooks.ROOM, "proxy": "other", "a": "ada", "b": "bob"}
    names |= {"key": hooks.KEY} | parameters
    names.setdefault("app", hooks.APPS[names["provider"]])
    path = operation.path.format(**names)
    query = {p.name: names[p.name] for p in operation.query if names.get(p.name) is not None}
    content = {"json": body} if isinstance(body, dict) else {"data": body}
    response = requests.request(
        operation.method, url + path, params=query, auth=hooks.signer(operation.path), timeout=60, **content
    )
    assert response.status_code == status, f"{operation.label}: {status} wanted, got {response.status_code} {response.text}"
    operation.validate_response(response)
    return response


def example(operation):
    """The first example of the body, of something that has happened by now."""
    for content in operation.definition.raw.get("requestBody", {}).get("content", {}).values():
        examples = content.get("examples", {}).values()
        return content.get("example") or next(example["value"] for example in examples)
    return None


def by_id(name):
    return next(operation for operation in operations if operation.definition.raw["operationId"] == name)


def every_answer_was_seen():
    with open(os.environ.pop("OPENAPI_SEEN")) as file:
        seen = collections.Counter(json.load(file))
    missing = []
    for operation in operations:
        wanted = declared(operation) - OTHERS - BY_HAND
        if hooks.signer(operation.path):
            # A duplicate is of something that was stored. Nothing in an update of a profile says when it
            # happened, so each arrival of one is news (decision 117).
            is_news = "AfterUpdateUserInfo" in operation.path
            wanted |= {"rejected"} if is_news else {"duplicate", "rejected"}
        counts = {what: seen[f"{operation.label} {what}"] for what in wanted}
        print(operation.label, *(f"{what}:{count}" for what, count in sorted(counts.items())))
        missing += [f"{operation.label} {what}" for what, count in counts.items() if not count]
    assert not missing, f"schemathesis never saw {missing}"


def too_long_bodies():
    too_long = b" " * ((4 << 20) + 1)
    for operation in operations:
        if "413" in declared(operation):
            ask(operation, 413, too_long)


def second_pages():
    pages = {"roomPresence": "members", "roomPresenceByParameter": "members", "userAttendance": "sessions",
             "userAttendanceByParameter": "sessions", "roomAttendance": "sessions", "roomAttendanceByParameter": "sessions",
             "userReport": "rows", "userReportByParameter": "rows", "roomReport": "rows", "roomReportByParameter": "rows"}
    for operation, items in pages.items():
        first = ask(by_id(operation), 200, limit=1)
        second = ask(by_id(operation), 200, limit=1, next=first["next"])
        assert first[items] and second[items] and first[items] != second[items], operation
    for name in ("explanation", "explanationByParameter"):
        first = ask(by_id(name), 200, room=None, limit=1)
        second = ask(by_id(name), 200, room=None, limit=1, next=first["next"])
        assert first["rooms"][0]["marks"] != second["rooms"][0]["marks"], name
    first = ask(by_id("registrations"), 200, provider="openim", limit=1)
    second = ask(by_id("registrations"), 200, provider="openim", limit=1, next=first["next"])
    assert first["registrations"][0]["user"] != second["registrations"][0]["user"]


def csv_reads_back():
    """Python's csv reads the rows of the JSON, also page by page along `Link`, whatever is in a name."""

    def as_cell(value):
        return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)

    lists = (("roomAttendance", "sessions", {"room": "formulas"}), ("userAttendance", "sessions", {}),
             ("registrations", "registrations", {"provider": "openim"}))
    for name, rows, parameters in lists:
        operation = by_id(name)
        wanted = ask(operation, 200, limit=1000, **parameters)[rows]
        response = respond(operation, 200, limit=2, format="csv", **parameters)
        found, pages = [], 1
        while True:
            assert response.headers["content-type"] == "text/csv; charset=utf-8; header=present", response.headers
            found += csv.DictReader(io.StringIO(response.content.decode(), newline=""), strict=True)
            if "next" not in response.links:
                break
            pages += 1
            response = requests.get(url + response.links["next"]["url"], timeout=60)
            operation.validate_response(response)
        assert len(found) == len(wanted) >= 2 and pages >= len(wanted) / 2, f"{name}: {len(found)} of {len(wanted)} rows"
        for cells, row in zip(found, wanted):
            assert not any(cell.startswith(tuple("=+@\t\r")) for cell in cells.values()), cells
            cells = {field: cell.removeprefix("'") for field, cell in cells.items()}
            if row.get("left_at", 0) is None:
                # It lasts, and grows meanwhile.
                del row["duration_ms"], cells["duration_ms"]
            assert cells == {field: as_cell(value) for field, value in row.items()}, f"{cells} {row}"


def what_was_sent_is_known():
    room = ask(by_id("roomPresence"), 200, changes="true")
    assert room["online"] == 2 and room["changes"] == {"first": 1, "last": 2, "missing": 0}, room
    user = ask(by_id("userAttendance"), 200)
    assert {visit["reason"] for visit in user["sessions"]} >= {None, "normal"}, user
    report = ask(by_id("roomReport"), 200)
    assert report["people"] == 2 and report["peak"]["online"] == 2 and not report["final"], report
    together = ask(by_id("together"), 200)
    assert len(together["spans"]) == 1 and together["together_ms"] > 0, together
    assert ask(by_id("userPresence"), 200, provider="openim")["sessions"][0]["device"] == "IOS"
    explained = ask(by_id("explanation"), 200)
    assert all(mark["rules"] for room in explained["rooms"] for mark in room["marks"]), explained
    assert ask(by_id("explanation"), 200, provider="openim", room=None)["devices"][0]["device"] == "IOS"
    assert ask(by_id("usage"), 200, provider="tencent")["active_users"] >= 1
    kinds = {item["kind"] for app in hooks.APPS for item in ask(by_id("data"), 200, provider=app)["items"]}
    assert kinds == {"seat", "device", "sessions", "month", "registration"}, kinds
    assert ask(by_id("erase"), 200, user="cy")["complete"]
    assert ask(by_id("erasures"), 200)["erasures"]
    ticket = {"sdk_app_id": 1400000000, "user_id": hooks.USER}
    minted = ask(by_id("mintUserSig"), 200, ticket)
    assert ask(by_id("verifyUserSig"), 200, ticket | {"user_sig": minted["user_sig"]})["valid"]
    token = {"app_id": 1, "user_id": hooks.USER}
    minted = ask(by_id("mintZegoToken"), 200, token | {"room": {"id": hooks.ROOM, "streams": ["ada-main"]}})
    assert ask(by_id("verifyZegoToken"), 200, token | {"token": minted["token"]})["valid"]


def the_docs_recompute_a_digest():
    with open("docs/design.md") as file:
        python = file.read().split("```python\n")[1].split("```")[0]
    docs = {}
    exec(python, docs)
    report = ask(by_id("roomReport"), 200)
    assert report["rows"] and docs["digest"](report, report["rows"]) == report["digest"], report


def other_methods():
    """A method without a route is none of openapi.yaml's, and a 404."""
    routes = {(operation.method.upper(), operation.path) for operation in operations}
    for path in {path for _, path in routes}:
        target = url + path.format(provider="zego", app="1", user=hooks.USER, room=hooks.ROOM, proxy="other", key="k")
        for method in ("PUT", "DELETE", "PATCH", "GET" if path.startswith(("/zego", "/openim", "/tencent")) else "HEAD"):
            if (method, path) in routes:
                continue
            response = requests.request(method, target, timeout=60)
            assert response.status_code == 404, f"{method} {path}: {response.status_code} {response.text}"
            assert response.headers["content-type"] == "application/json", f"{method} {path}"


def of_which(operation):
    """A provider that has what this is about."""
    if operation.path.startswith("/usage/"):
        return "tencent"
    return "openim" if operation.path.startswith("/reconcile/") and "room" not in operation.path else "zego"


def without_dynamodb():
    for operation in operations:
        if "503" in declared(operation):
            provider = of_which(operation)
            ask(operation, 503, example(operation), provider=provider)


def without_events():
    for operation in operations:
        if "409" in declared(operation):
            wanted = "no_credentials" if operation.path.startswith("/reconcile/") else "events_off"
            assert ask(operation, 409, provider=of_which(operation))["error"]["code"] == wanted


def without_provider():
    for operation in operations:
        # A pass over an app goes on after a failure, and counts it.
        if operation.definition.raw["operationId"] == "reconcileApp":
            assert ask(operation, 200)["failed"] > 0
        elif "502" in declared(operation):
            assert ask(operation, 502, provider=of_which(operation))["error"]["provider_code"]


def slowly():
    """While a pass over the app is under way for long, a room is left to the next one."""
    for operation in operations:
        if "202" in declared(operation):
            with concurrent.futures.ThreadPoolExecutor() as threads:
                passing = threads.submit(ask, by_id("reconcileApp"), 200)
                time.sleep(1)
                assert ask(operation, 202) == {"queued": True}
                passing.result()


if sys.argv[2:] == ["without-dynamodb"]:
    without_dynamodb()
elif sys.argv[2:] == ["without-events"]:
    without_events()
elif sys.argv[2:] == ["without-provider"]:
    without_provider()
elif sys.argv[2:] == ["slowly"]:
    slowly()
else:
    every_answer_was_seen()
    what_was_sent_is_known()
    too_long_bodies()
    second_pages()
    the_docs_recompute_a_digest()
    csv_reads_back()
    other_methods()
