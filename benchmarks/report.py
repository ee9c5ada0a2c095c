"""The pages of a large and of a very large test: `python -m benchmarks.report`.

The tests are simulated: 3d pushed on 25 nodes (59,000 events), and a kafka cluster for 75 s
(500,000 events). Printed are the size of the page, the seconds to write it, also as a share of the
seconds that the test took, and, where Chromium and its driver are installed, what the browser
takes: the milliseconds until the page is open, and the median milliseconds that the script spends
on a frame (60 frames a second leave 16) with the whole run in sight, while it zooms in, and while
it pans among single messages.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from selenium import webdriver
from selenium.webdriver import ChromeOptions, ChromeService
from selenium.webdriver.support.ui import WebDriverWait

from glomers.challenges import SCRIPTS
from glomers.history.store import Store
from glomers.options import Options
from glomers.run.build import simulated_test
from glomers.run.kept import write_page

NODES = tuple(f"n{number}" for number in range(25))
CASES = {
    "3d pushed": Options(
        "broadcast",
        str(SCRIPTS / "broadcast.py"),
        ("--max-latency", "0"),
        NODES,
        time_limit=20,
        rate=100,
        concurrency=25,
        latency=100,
        seed=1,
    ),
    "kafka, 75 s": Options(
        "kafka",
        str(SCRIPTS / "kafka.py"),
        nodes=NODES[:2],
        time_limit=75,
        rate=1000,
        concurrency=4,
        seed=1,
    ),
}
PATIENCE = 60  # seconds

# The median milliseconds that drawing takes: the whole run, zooming in, panning.
FRAMES = """
const { view } = report;
const median = (count, step) => {
  const times = [];
  for (let i = 0; i < count; i++) {
    step();
    const began = performance.now();
    report.draw();
    times.push(performance.now() - began);
  }
  return times.sort((a, b) => a - b)[count >> 1];
};
const middle = (view.first + view.last) / 3;
view.whole();
const found = [median(30, () => {}), median(40, () => view.zoom(0.9, middle))];
view.show(middle, middle + 500000);
return [...found, median(30, () => view.pan(0.02))];
"""


@contextmanager
def browser() -> Iterator[Any]:
    """Chromium without a window; None where it isn't installed."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        yield None
        return
    options = ChromeOptions()
    options.binary_location = chromium
    for flag in ("--headless=new", "--no-sandbox", "--window-size=1440,1000"):
        options.add_argument(flag)
    chrome = webdriver.Chrome(options=options, service=ChromeService(driver))
    try:
        yield chrome
    finally:
        chrome.quit()


def in_browser(chrome: Any, page: Path) -> list[str]:
    """Milliseconds to open a page, and for its frames."""
    chrome.get(page.as_uri())
    opened = "return document.documentElement.dataset.opened"
    milliseconds = WebDriverWait(chrome, PATIENCE).until(lambda c: c.execute_script(opened))
    return [milliseconds, *(f"{value:.1f}" for value in chrome.execute_script(FRAMES))]


def main() -> None:
    console = Console()
    table = Table(box=box.SIMPLE)
    for name in ("test", "events", "page, MiB", "written in s", "share of the run", "opens in ms",
                 "whole, ms", "zooming, ms", "panning, ms"):  # fmt: skip
        table.add_column(name, justify="left" if name == "test" else "right")
    with TemporaryDirectory() as root, browser() as chrome:
        for name, options in CASES.items():
            began = time.perf_counter()
            with closing(Store.create(Path(root), options.workload)) as store:
                store.write_results(simulated_test(options, store).run())
            ran = time.perf_counter()
            page = write_page(store.path)
            wrote = time.perf_counter()
            with (store.path / "messages.jsonl").open() as journal:
                events = sum(1 for _ in journal)
            figures = in_browser(chrome, page) if chrome else ["-"] * 4
            table.add_row(
                name,
                f"{events:,}",
                f"{page.stat().st_size / (1 << 20):.2f}",
                f"{wrote - ran:.2f}",
                f"{(wrote - ran) / (ran - began):.0%}",
                *figures,
            )
    console.print(table)


if __name__ == "__main__":
    main()
