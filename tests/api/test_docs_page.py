"""``/docs``: Swagger UI without the internet, under a strict policy."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from api.rest.docs_page import POLICY
from tests.api.asking import Api


class Page(HTMLParser):
    """What a page loads, and the scripts and styles in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.inline: list[str] = []
        self.handlers: list[str] = []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag
        self.loads += [value for name, value in attrs if name in {"src", "href"} and value]
        self.handlers += [name for name, _ in attrs if name.startswith("on") or name == "style"]

    def handle_data(self, data: str) -> None:
        if self._inside in {"script", "style"} and data.strip():
            self.inline.append(data)


async def test_everything_that_the_page_loads_is_served_from_here(api: Api) -> None:
    answer = await api.client.get("/docs")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    page = Page(answer.text)
    assert len(page.loads) == 4
    for path in page.loads:
        assert re.fullmatch(r"docs/[a-z0-9.-]+", path), "it holds under any prefix"
        part = await api.client.get(f"/{path}")
        assert part.status_code == 200
        kind = {"js": "text/javascript", "css": "text/css", "png": "image/png"}
        expected = kind[path.rpartition(".")[2]]
        assert part.headers["content-type"].partition(";")[0] == expected
        assert len(part.content) > 100


async def test_the_page_needs_nothing_that_its_policy_forbids(api: Api) -> None:
    answer = await api.client.get("/docs")
    page = Page(answer.text)
    assert (page.inline, page.handlers) == ([], [])
    assert answer.headers["content-security-policy"] == POLICY
    assert "default-src 'none'" in POLICY
    assert "script-src 'self';" in POLICY
    assert "http" not in POLICY


async def test_it_starts_with_the_document_of_this_service(api: Api) -> None:
    script = (await api.client.get("/docs/swagger-start.js")).text
    assert 'new URL("openapi.json", document.baseURI)' in script
    assert "http:" not in script
    assert "https:" not in script
    assert "validatorUrl: null" in script, "or it would ask a server on the internet"


@pytest.mark.parametrize("name", ["__init__.py", "..%2Fopenapi.py", "%2e%2e", "swagger.html", "x"])
async def test_no_other_file_is_served(api: Api, name: str) -> None:
    answer = await api.client.get(f"/docs/{name}")
    assert (answer.status_code, answer.json()) == (404, {"error": "not found"})


async def test_a_browser_may_keep_the_parts_for_an_hour(api: Api) -> None:
    answer = await api.client.get("/docs/swagger-ui-bundle.js")
    assert answer.headers["cache-control"] == "max-age=3600"
