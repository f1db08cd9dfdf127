"""The examples of the documentation, as a user would copy them into a shell."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from domain.headers import MASK
from tests.api.asking import Api
from tests.api.serving import Served

DOCS = Path(__file__).parents[2] / "docs"

WORKFLOW = r"""
# 1. Create a project
PROJECT_ID=$(curl -X POST https://app.cronpulse.live/api/v1/projects \
  -H "X-API-Key: cpk_your_api_key" \
  -H "Content-Type: application/json" \
  -d '{"name": "My API Project", "url": "https://example.com"}' \
  | jq -r '.id')

# 2. Create a job
JOB_ID=$(curl -X POST https://app.cronpulse.live/api/v1/jobs \
  -H "X-API-Key: cpk_your_api_key" \
  -H "Content-Type: application/json" \
  -d '{
    "name": "Health Check",
    "projectId": "'$PROJECT_ID'",
    "url": "https://example.com/health",
    "method": "GET",
    "schedule": "*/5 * * * *",
    "heartbeat": true
  }' \
  | jq -r '.id')

# 3. Monitor the job
curl -H "X-API-Key: cpk_your_api_key" \
  https://app.cronpulse.live/api/v1/jobs/$JOB_ID
"""

JQ = """#!{python}
import json, sys
arguments = sys.argv[1:]
assert arguments == ["-r", ".id"], arguments
print(json.load(sys.stdin)["id"])
"""


@pytest.fixture
def tools(tmp_path: Path) -> dict[str, str]:
    """A shell's environment with curl and jq; a small jq of our own where there is none."""
    folder = tmp_path / "bin"
    folder.mkdir()
    if shutil.which("curl") is None:
        pytest.fail("this test needs curl")
    if shutil.which("jq") is None:
        (folder / "jq").write_text(JQ.format(python=sys.executable))
        (folder / "jq").chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}", "HOME": str(tmp_path)}


async def run(script: str, tools: dict[str, str]) -> str:
    process = await asyncio.create_subprocess_exec(
        *("sh", "-eu", "-c", script),
        env=tools,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return output.decode()


async def test_the_documented_workflow_works_as_it_stands(
    api: Api, served: Served, tools: dict[str, str]
) -> None:
    script = WORKFLOW.replace("https://app.cronpulse.live", served.url)
    shown = json.loads(await run(script.replace("cpk_your_api_key", str(api.me.key)), tools))
    (project,) = (await api.me.get("/projects")).json()
    assert project == {
        "id": shown["projectId"],
        "name": "My API Project",
        "url": "https://example.com",
        "jobs": [{"id": shown["id"], "name": "Health Check", "lastStatus": None}],
    }
    assert shown == {
        "id": shown["id"],
        "name": "Health Check",
        "projectId": project["id"],
        "url": "https://example.com/health",
        "method": "GET",
        "schedule": "*/5 * * * *",
        "heartbeat": True,
        "heartbeatTolerance": 5,
        "timeout": 30,
        "expectedStatusCode": 200,
        "headers": {},
        "body": None,
        "lastStatus": None,
        "lastActivityAt": None,
        "nextRunAt": "2026-03-02T12:05:00Z",
        "timezone": "UTC",
        "mode": "active",
        "paused": False,
    }


async def test_the_first_line_of_the_documentation_works(
    api: Api, served: Served, tools: dict[str, str]
) -> None:
    project_id = await api.me.a_project()
    line = f'curl -H "X-API-Key: {api.me.key}" {served.url}/api/v1/projects'
    assert [each["id"] for each in json.loads(await run(line, tools))] == [project_id]


def examples(page: str) -> str:
    """All the shell there is on a page of the guide, one after another."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return "\n".join(re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE))


async def test_the_guide_to_the_api_works_from_its_first_line_to_its_last(
    api: Api, served: Served, tools: dict[str, str]
) -> None:
    script = examples("rest.md").replace("http://127.0.0.1:8000", served.url)
    output = await run(script.replace("cpk_your_api_key", str(api.me.key)), tools)
    read = json.JSONDecoder().raw_decode
    shown, end = read(output)
    changed, end = read(output, end)
    executions, end = read(output, end)
    assert end == len(output)
    assert shown["heartbeat"] is True
    assert changed == shown | {"headers": {"Authorization": MASK, "Accept": "text/plain"}}
    assert executions == []


async def test_the_guide_to_pings_works_from_its_first_line_to_its_last(
    api: Api, served: Served, tools: dict[str, str], tmp_path: Path
) -> None:
    backup = tmp_path / "bin" / "backup.sh"
    backup.write_text("#!/bin/sh\necho 3 files saved\n")
    backup.chmod(0o755)
    job_id = await api.me.a_job()
    script = (
        examples("ping.md")
        .replace("http://127.0.0.1:8000", served.url)
        .replace("c9f3d1s7a5g2h8j4k6l0q3w5e1", job_id)
        .replace("/tmp/backup.log", str(tmp_path / "backup.log"))
    )
    assert await run(script, tools) == '{"status": "ok"}' * 3
    run_of_it, beat = (await api.me.get(f"/jobs/{job_id}/executions")).json()
    assert (run_of_it["status"], run_of_it["output"]) == ("success", "3 files saved\n")
    assert (beat["status"], beat["output"]) == ("success", None)
