"""All runs in a real browser: they are sorted, filtered and compared, and one grows as it goes on.

Without Chromium and its driver (Debian: chromium and chromium-driver) these tests are skipped.
"""

from __future__ import annotations

import pytest

from tests.report.conftest import PATIENCE
from tests.report.pages import written
from tests.report.test_serve import HISTORY, command, operation, running, serving

pytest.importorskip("selenium", reason="selenium is not installed")

from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

NO_CASES = {"ok-count": 0, "fail-count": 0, "info-count": 0, "by-f": {}}


class Browser:
    """A browser that looks at a server, and verbs for it."""

    def __init__(self, chromium, server):
        self._chromium, self._server = chromium, server
        chromium.set_window_size(1300, 900)
        chromium.get_log("browser")

    def open(self, path):
        self._chromium.get(self._server.address + path.lstrip("/"))

    def js(self, code):
        return self._chromium.execute_script(code)

    def wait(self, condition):
        WebDriverWait(self._chromium, PATIENCE).until(lambda _: self.js(f"return {condition}"))

    def click(self, selector):
        self._chromium.find_element(By.CSS_SELECTOR, selector).click()

    def type(self, selector, text):
        self._chromium.find_element(By.CSS_SELECTOR, selector).send_keys(text)

    def shown(self):
        """The seeds of the runs that can be seen, from top to bottom."""
        rows = self._chromium.find_elements(By.CSS_SELECTOR, ".runs tbody tr")
        found = [row.find_element(By.CSS_SELECTOR, ".seed") for row in rows if row.is_displayed()]
        return [int(cell.text) for cell in found]

    def complaints(self):
        return [entry["message"] for entry in self._chromium.get_log("browser")]


def run(root, seed, valid=True, operations=1):
    stats = {"valid?": valid, "count": operations, **NO_CASES}
    name = f"20261126T0518{seed:02}.000"
    folder = written(root / "echo" / name, [], HISTORY, **{"valid?": valid, "stats": stats})
    command(folder, "1", "--seed", str(seed), seed=seed)
    return folder


@pytest.fixture
def browser(chromium, tmp_path):
    run(tmp_path, 1, operations=300)
    run(tmp_path, 57, operations=20)
    run(tmp_path, 3, valid=False, operations=1000)
    with serving(tmp_path) as server:
        yield Browser(chromium, server)


def test_runs_are_sorted_by_a_column_and_back(browser):
    browser.open("/")
    assert browser.shown() == [57, 3, 1]  # the latest first
    browser.click("[data-sort='3']")
    assert browser.shown() == [1, 3, 57]
    browser.click("[data-sort='3']")
    assert browser.shown() == [57, 3, 1]
    assert browser.complaints() == []


def test_runs_are_sorted_by_a_figure(browser):
    browser.open("/")
    browser.click("#figure option[value='operations']")
    assert browser.shown() == [3, 1, 57]


def test_runs_are_filtered_by_text_and_by_verdict(browser):
    browser.open("/")
    browser.type("#text-filter", "SEED 57")
    assert browser.shown() == [57]
    browser.js("location.reload()")
    browser.click("#state-filter option[value='invalid']")
    assert browser.shown() == [3]


def test_two_runs_are_picked_to_be_compared(browser):
    browser.open("/")
    assert browser.js("return document.getElementById('compare').disabled")
    browser.click("tbody tr:nth-child(1) input")
    browser.click("tbody tr:nth-child(2) input")
    assert browser.js("return document.querySelector('tbody tr:nth-child(3) input').disabled")
    browser.click("#compare")
    browser.wait("document.body.className === 'compare'")
    assert browser.js("return document.querySelectorAll('.two thead a').length") == 2
    assert browser.complaints() == []


def test_a_new_run_appears_in_the_list_that_is_open(browser, tmp_path):
    browser.open("/")
    browser.click("[data-sort='3']")
    run(tmp_path, 2)
    browser.wait("document.querySelectorAll('tbody tr').length === 4")
    assert browser.shown() == [1, 2, 3, 57]


def test_a_run_in_progress_grows_where_one_looks_and_ends_with_its_page(browser, tmp_path):
    folder = run(tmp_path, 4)
    results = (folder / "results.edn").read_text()
    (folder / "results.edn").unlink()
    (folder / "history.jsonl").write_text(HISTORY + operation(2, 4_000_000_000))
    frame = "document.querySelector('iframe:not(.behind)').contentWindow"
    with running(folder):
        browser.open(f"/run/echo/{folder.name}")
        browser.wait(f"{frame}.report?.run.operations.count === 2")
        browser.js(f"{frame}.report.view.show(1e6, 2e6)")
        with (folder / "history.jsonl").open("a") as file:
            file.write(operation(3, 5_000_000_000, process=1))
        browser.wait("document.getElementById('progress').textContent.includes('3 operations')")
        browser.wait(f"{frame}.report?.run.operations.count === 3")
        view = browser.js(f"const {{ from, to }} = {frame}.report.view; return [from, to]")
        assert view == [1e6, 2e6]
        (folder / "results.edn").write_text(results)
    browser.wait("!document.getElementById('so-far') && document.querySelector('.state.valid')")
    browser.click("a[href$='report.html']")
    browser.wait("window.report?.run.operations.count === 3")
    assert browser.complaints() == []


def test_the_pages_fit_a_phone(browser, tmp_path):
    browser._chromium.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True},
    )
    names = [f"echo/20261126T0518{n:02}.000" for n in (1, 3)]
    for path in ("/", f"/run/{names[0]}", f"/compare?run={names[0]}&run={names[1]}"):
        browser.open(path)
        assert browser.js("return document.documentElement.scrollWidth") <= 390
    browser._chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
