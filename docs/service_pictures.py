"""Makes the pictures of docs/guide/serve.md: each page of a real service after real jobs, in both themes; a part of `make pictures`."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

from pictures import FLAGS, composed  # noqa: E402 - the folder of the sources is no package of the installation

from hail_batch_jupyter.service.store.database import FILE, Database  # noqa: E402 - as above
from hail_batch_jupyter.service.store.tables import Store  # noqa: E402 - as above
from tests.conftest import wait_until  # noqa: E402 - as above
from tests.service.servers import Server, job  # noqa: E402 - as above

VIEW = {"width": 1000, "height": 640}
THEMES = ("light", "dark")
MOST_PX = 1100
PICTURES = {
    "batches": "/batches",
    "batch": "/batches/1",
    "cancelled": "/batches/2",
    "stages": "/batches/1/resources",
    "job": "/batches/1/jobs/3",
    "log": "/batches/1/jobs/2/log/main/part?at=0",
    "files": "/files?path=results",
    "billing": "/billing",
    "you": "/user",
    "users": "/users",
    "missing": "/batches/999",
    "login": "/login",
}
"""Name of a picture -> page."""


def fill(server: Server) -> None:
    """Batches that ended well, badly, by somebody's hand and not at all, files, users and what they spent."""
    wide = {"cpu": "4", "memory": "8Gi"}
    loud = "for i in $(seq 12000); do printf 'read %d: \\033[32mok\\033[0m\\n' $i; done"
    sleeps = "echo aligning HG00119; printf '\\033[33mwarning\\033[0m: 12 reads without a mate\\n'; sleep 11; printf '\\033[1mdone\\033[0m: 2048 reads\\n'"
    first = server.post(
        job(1, "echo split", attributes={"name": "split"}),
        job(2, loud, [1], attributes={"name": "align-HG00096"}),
        job(3, sleeps, [1], attributes={"name": "align-HG00119", "sample": "HG00119"}, resources=wide),
        job(4, "echo 'no reads in chr21' >&2; exit 3", [1], attributes={"name": "align-HG00171"}),
        job(5, "true", [2, 3, 4], attributes={"name": "merge"}),
        job(6, "echo 2 of 3 samples", [5], attributes={"name": "report"}, always_run=True),
        attributes={"name": "exome cohort 7", "study": "T2D"},
    )
    server.ended(first)
    server.post(*[job(number, "sleep 100", attributes={"name": f"impute-chr{number}"}) for number in range(1, 23)], attributes={"name": "imputation"})
    server.post(job(1, "sleep 300", attributes={"name": "train"}), job(2, "true", [1], attributes={"name": "score"}), attributes={"name": "polygenic score"})
    owner = server.get("/userinfo")["username"]
    for path, size in {
        "results/variants.vcf.gz": 400_000,
        "results/qc/depth.tsv": 30_000,
        "results/qc/contamination.tsv": 9_000,
        "results/report.html": 70_000,
    }.items():
        server.ask("PUT", f"/files/content?path={owner}/{path}", data=b"x" * size)
    add_users(server)


def add_users(server: Server) -> None:
    """Some, in the data folder: the service itself adds none where jobs run as processes."""
    store = Store(Database(server.data / FILE))
    for name, role, project in (("ann", "admin", "genomics"), ("ben", "user", "genomics"), ("chloe", "user", "imaging")):
        store.put_user(name, os.urandom(32), project, role)
    store.close()


def stop_one(page: Page, server: Server) -> None:
    """Cancel the second batch as a person does."""
    wait_until(lambda: "Running" in server.states(2))
    page.goto(f"http://127.0.0.1:{server.port}/batches/2")
    page.get_by_label("Why you cancel batch 2").fill("the wrong reference panel")
    page.get_by_role("button", name="Cancel batch 2").click()
    server.ended(2)


def shot(page: Page, address: str, path: Path) -> Path:
    """A picture of a page, after what it loads is there; of a long one its beginning."""
    page.goto(address)
    page.locator(".hbj-node").first.wait_for(timeout=60_000) if page.locator("#graph").count() else None
    page.wait_for_timeout(1000)
    height = min(page.evaluate("document.querySelector('main').getBoundingClientRect().bottom"), MOST_PX)
    page.screenshot(path=path, clip={"x": 0, "y": 0, "width": VIEW["width"], "height": height}, full_page=True, animations="disabled", caret="hide")
    return path


def take(browser: Browser, server: Server, folder: Path) -> None:
    """Every page in both themes."""
    found: dict[str, list[tuple[str, list[Path]]]] = {name: [] for name in PICTURES}
    for theme in THEMES:
        context = browser.new_context(viewport=VIEW, color_scheme=theme, device_scale_factor=float(os.environ.get("PICTURES_SCALE", "1.4")))
        page = context.new_page()
        found["login"].append((theme, [shot(page, f"http://127.0.0.1:{server.port}/login", folder / f"login-{theme}.png")]))
        page.get_by_label("Token").fill(server.token)
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("navigation", name="Pages").wait_for()
        if theme == THEMES[0]:
            stop_one(page, server)
        for name, path in PICTURES.items():
            if name != "login":
                found[name].append((theme, [shot(page, f"http://127.0.0.1:{server.port}{path}", folder / f"{name}-{theme}.png")]))
        context.close()
    for name, columns in found.items():
        composed(columns, f"service-{name}")


def main() -> None:
    """One service, one browser."""
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("pictures need chromium: make test-deps")
    folder = Path(tempfile.mkdtemp(prefix="hbj-service-pictures-"))
    server = Server(folder / "data", card="hail", words=("--quota", "2M"))
    try:
        fill(server.start())
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, headless=True, args=FLAGS)
            take(browser, server, folder)
            browser.close()
    finally:
        server.close()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
