"""Writes the page en/rest.md from the API's own description, while mkdocs builds the site."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

HEAD = """# REST reference

Generated from the OpenAPI description that the server gives at `/openapi.json`; `/docs` shows it with a
form to try each request. Every error is `application/problem+json` (RFC 9457) and says what to do next.
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page."""
    from serving.app import create_app

    files.append(File.generated(config, "en/rest.md", content=render(create_app().openapi())))
    return files


def render(schema: Mapping[str, Any]) -> str:
    """Return the page, one section a path, one table of fields a kind of answer."""
    paths = (line for path, methods in schema["paths"].items() for line in _path(path, methods))
    models = schema["components"]["schemas"]
    fields = (line for name, model in sorted(models.items()) for line in _model(name, model))
    return "\n".join([HEAD, *paths, "## Fields", "", *fields])


def _path(path: str, methods: Mapping[str, Any]) -> Iterator[str]:
    for method, operation in methods.items():
        yield from (f"## `{method.upper()} {path}`", "", operation.get("summary", ""), "")
        if about := operation.get("description"):
            yield from (about, "")
        if parameters := operation.get("parameters"):
            yield from ("| parameter | in | type | meaning |", "|---|---|---|---|")
            for each in parameters:
                meaning = _cell(each.get("description") or each["schema"].get("description", ""))
                yield f"| `{each['name']}` | {each['in']} | {_type(each['schema'])} | {meaning} |"
            yield ""
        yield from ("| status | answer |", "|---|---|")
        for status, answer in operation["responses"].items():
            yield f"| {status} | {_cell(answer['description'])}{_answer(answer)} |"
        yield ""


def _answer(answer: Mapping[str, Any]) -> str:
    shapes = {
        _type(content["schema"]) for content in answer.get("content", {}).values() if "schema" in content
    }
    return f": {', '.join(sorted(shapes))}" if shapes - {""} else ""


def _model(name: str, model: Mapping[str, Any]) -> Iterator[str]:
    if "properties" not in model:
        return
    yield from (f"### {name}", "")
    if about := model.get("description"):
        yield from (about, "")
    yield from ("| field | type | meaning |", "|---|---|---|")
    for field, schema in model["properties"].items():
        yield f"| `{field}` | {_type(schema)} | {_cell(schema.get('description', ''))} |"
    yield ""


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return f"`{schema['$ref'].rpartition('/')[2]}`"
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(dict.fromkeys(map(_type, choices)))
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    return str(schema.get("format") or schema.get("type") or "")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
