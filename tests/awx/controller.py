# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for the API of AWX: it keeps what the modules of awx.awx store, and rejects what AWX would reject.

The rules are those of awx/main/fields.py (credential types), awx/api/views (surveys) and awx/api/serializers.py
(schedules) of AWX 24, as far as the playbook comes near them.
"""

from __future__ import annotations

import copy
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jsonschema
from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

TOKEN = "token-of-the-operator"
UNIFIED = {"projects", "job_templates", "workflow_job_templates", "inventory_sources"}
TEXT = {"type": "string"}
NAME = "^[a-zA-Z_]+[a-zA-Z0-9_]*$"
FIELD = {
    "type": "object",
    "properties": {
        "type": {"enum": ["string", "boolean"]},
        "format": {"enum": ["ssh_private_key", "url"]},
        "id": {"type": "string", "pattern": NAME},
        "label": TEXT,
        "help_text": TEXT,
        "multiline": {"type": "boolean"},
        "secret": {"type": "boolean"},
        "default": {},
    },
    "additionalProperties": False,
    "required": ["id", "label", "type"],
}
INPUTS = {
    "type": "object",
    "properties": {"required": {"type": "array", "items": TEXT}, "fields": {"type": "array", "items": FIELD}},
    "additionalProperties": False,
}
INJECTORS = {
    "type": "object",
    "properties": {
        "file": {
            "type": "object",
            "patternProperties": {r"^template(\.[a-zA-Z_]+[a-zA-Z0-9_]*)?$": TEXT},
            "additionalProperties": False,
        },
        "extra_vars": {"type": "object", "patternProperties": {NAME: TEXT}, "additionalProperties": False},
    },
    "additionalProperties": False,
}
ANSWERS = {"text": str, "integer": int, "float": float, "multiplechoice": str}


class Controller:
    """The objects of an AWX by their kind, and the server that hands them out."""

    def __init__(self, playbooks: list[str]) -> None:
        """Start with what a new AWX has; `playbooks` are those that its project finds."""
        self.objects: dict[str, list[dict[str, Any]]] = {}
        self.surveys: dict[str, Any] = {}
        self.links: dict[str, list[int]] = {}
        self.playbooks = playbooks
        #: The requests that changed something.
        self.writes: list[str] = []
        fields = [
            {"id": "username", "label": "Username", "type": "string"},
            {"id": "ssh_key_data", "label": "SSH Private Key", "type": "string", "secret": True},
        ]
        self._create("credential_types", {"name": "Machine", "kind": "ssh", "inputs": {"fields": fields}})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """The address of the API."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()

    def named(self, kind: str, name: str) -> dict[str, Any]:
        """Return an object by its name, with its secrets."""
        (item,) = [item for item in self.objects[kind] if item["name"] == name]
        return item

    def names(self, kind: str) -> list[str]:
        """Return the names of all objects of a kind, or the identifiers of those without a name."""
        return sorted(item.get("name") or item["identifier"] for item in self.objects.get(kind, []))

    def associated(self, item: dict[str, Any], link: str, kind: str) -> list[str]:
        """Return the names or identifiers of the objects that one is linked with."""
        found = {entry["id"]: entry for entry in self.objects.get(kind, [])}
        links = self.links.get(f"{item['url']}{link}/", [])
        return sorted(found[number].get("name") or found[number]["identifier"] for number in links)

    # --- What the server does ---
    def get(self, path: str, query: dict[str, str]) -> tuple[int, Any]:
        """Return what GET answers."""
        kind, *more = path.split("/")
        if not more:
            found = [item for item in self._listed(kind) if all(matches(item, *pair) for pair in query.items())]
            return 200, {"count": len(found), "next": None, "results": [self._shown(item) for item in found]}
        if more[1:] == ["survey_spec"]:
            return 200, self.surveys.get(path, {})
        if len(more) > 1:
            results = [{"id": number} for number in self.links.get(f"/api/v2/{path}/", [])]
            return 200, {"count": len(results), "next": None, "results": results}
        return 200, self._shown(self._by_number(kind, more[0]))

    def post(self, path: str, data: dict[str, Any]) -> tuple[int, Any]:
        """Return what POST answers."""
        kind, *more = path.split("/")
        self.writes.append(f"POST {path}")
        if more[1:] == ["survey_spec"]:
            self.surveys[path] = copy.deepcopy(data)
            problems = list(survey_problems(data))
            return (400, {"error": problems[0]}) if problems else (200, {})
        if more:
            links = self.links.setdefault(f"/api/v2/{path}/", [])
            links.remove(data["id"]) if data.get("disassociate") else links.append(data["id"])
            return 204, None
        problems = list(self._problems(kind, data))
        return (400, {"__all__": problems}) if problems else (201, self._shown(self._create(kind, data)))

    def patch(self, path: str, data: dict[str, Any]) -> tuple[int, Any]:
        """Return what PATCH answers."""
        kind, number = path.split("/")
        self.writes.append(f"PATCH {path}")
        item = self._by_number(kind, number)
        problems = list(self._problems(kind, item | data))
        item.update(copy.deepcopy(data))
        return (400, {"__all__": problems}) if problems else (200, self._shown(item))

    def _listed(self, kind: str) -> list[dict[str, Any]]:
        kinds = UNIFIED if kind == "unified_job_templates" else {kind}
        return [item for name in sorted(kinds) for item in self.objects.get(name, [])]

    def _by_number(self, kind: str, number: str) -> dict[str, Any]:
        (item,) = [item for item in self.objects[kind] if item["id"] == int(number)]
        return item

    def _create(self, kind: str, data: dict[str, Any]) -> dict[str, Any]:
        number = 1 + sum(len(items) for items in self.objects.values())
        url = f"/api/v2/{kind}/{number}/"
        own = {
            "id": number,
            "url": url,
            "type": kind.removesuffix("s").replace("inventorie", "inventory"),
            "related": {"survey_spec": f"{url}survey_spec/"},
            "summary_fields": {},
            "scm_revision": "",
        }
        self.objects.setdefault(kind, []).append(copy.deepcopy(data) | own)
        return self.objects[kind][-1]

    def _shown(self, item: dict[str, Any]) -> dict[str, Any]:
        """Return an object as the API shows it: without secrets."""
        shown = copy.deepcopy(item)
        if item["type"] == "credential":
            fields = self._by_number("credential_types", str(item["credential_type"]))["inputs"]["fields"]
            for name in {field["id"] for field in fields if field.get("secret")} & set(shown["inputs"]):
                shown["inputs"][name] = "$encrypted$"
        return shown

    def _problems(self, kind: str, data: dict[str, Any]) -> Iterator[str]:
        """Yield why AWX would reject an object."""
        if kind == "credential_types":
            yield from credential_type_problems(data)
        elif kind == "credentials":
            fields = self._by_number("credential_types", str(data["credential_type"]))["inputs"]["fields"]
            for name in set(data["inputs"]) - {field["id"] for field in fields}:
                yield f"credential type has no field {name}"
        elif kind == "job_templates" and data["playbook"] not in self.playbooks:
            yield f"project has no playbook {data['playbook']}"
        elif kind == "inventories" and data.get("kind") is None:
            yield "kind may not be null"
        elif kind == "schedules":
            yield from rule_problems(data["rrule"])

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        controller = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                address = urlsplit(self.path)
                path = address.path.removeprefix("/api/v2/").strip("/")
                text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                    status, body = 401, {}
                elif self.command == "GET":
                    status, body = controller.get(path, dict(parse_qsl(address.query, keep_blank_values=True)))
                else:
                    status, body = getattr(controller, self.command.lower())(path, json.loads(text))
                data = b"" if body is None else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("X-API-Product-Name", "AWX")
                self.send_header("X-API-Product-Version", "24.6.1")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PATCH = answer

            def log_message(self, *_arguments: Any) -> None:
                """Write no log."""

        return Handler


def matches(item: dict[str, Any], name: str, value: str) -> bool:
    """Tell whether an object has the value that a query asks for."""
    return str(item.get(name.removeprefix("or__"))) == value


def credential_type_problems(data: dict[str, Any]) -> Iterator[str]:
    """Yield why AWX would reject a credential type."""
    for name, schema in (("inputs", INPUTS), ("injectors", INJECTORS)):
        for error in jsonschema.Draft7Validator(schema).iter_errors(data[name]):
            yield f"{name}: {error.message}"
    templates = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
    known = {field["id"]: "EXAMPLE" for field in data["inputs"]["fields"]}
    files = list(data["injectors"].get("file", {}))
    if "template" in files and len(files) > 1:
        yield "must use multi-file syntax when injecting multiple files"
    several = {name.split(".")[1]: "EXAMPLE" for name in files if "." in name}
    known["tower"] = {"filename": several or "EXAMPLE"}
    for text in [text for part in data["injectors"].values() for text in part.values()]:
        templates.from_string(text).render(known)


def survey_problems(survey: dict[str, Any]) -> Iterator[str]:
    """Yield why AWX would reject a survey."""
    if not (isinstance(survey.get("name"), str) and isinstance(survey.get("description"), str)):
        yield "name and description must be strings"
    if not survey.get("spec"):
        yield "'spec' doesn't contain any items."
    names = [item["variable"] for item in survey.get("spec", [])]
    if len(set(names)) != len(names):
        yield "variables must differ"
    for item in survey.get("spec", []):
        if not all(isinstance(item.get(name), str) for name in ("type", "question_name", "variable")):
            yield f"{item} lacks a string"
        elif not isinstance(item.get("required"), bool):
            yield f"{item}: required must be a boolean"
        elif item["type"] not in ANSWERS:
            yield f"{item['type']} is no type of question"
        elif item.get("default", "") != "" and not isinstance(item["default"], ANSWERS[item["type"]]):
            yield f"{item}: the default must be a {item['type']}"
        elif item["type"] == "multiplechoice" and item.get("default", item["choices"][0]) not in item["choices"]:
            yield f"{item}: the default must be one of the choices"


def rule_problems(rule: str) -> Iterator[str]:
    """Yield why AWX would reject the rule of a schedule."""
    if len(re.findall(r"DTSTART(?:;TZID=\S+)?:\d{8}T\d{6}Z?", rule)) != 1:
        yield "exactly one DTSTART is required"
    if len(re.findall("RRULE:", rule)) != 1 or "INTERVAL=" not in rule:
        yield "one RRULE with an INTERVAL is required"
    if re.search(r"SECONDLY|BYYEARDAY|BYWEEKNO|BYDAY=[-+]?\d", rule):
        yield "the rule has a part that AWX does not support"
