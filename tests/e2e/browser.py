"""A headless Chromium and what a test asks of the wall page in it.

`WallPage` works on any running wall, whoever feeds it.
"""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from servers import INSTALL, wait_until

CHROMIUM, CHROMEDRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
TILE = """
const tile = document.querySelector(`.tile[data-chair="${CSS.escape(arguments[0])}"]`);
if (!tile) return null;
const said = { ...tile.dataset };
for (const part of tile.querySelectorAll("[class]")) said[part.className] ??= part.textContent;
said.ack = !tile.querySelector(".ack").hidden;
for (const part of ["spo2", "pulse", "alarm"]) {
    said[part + "_colour"] = getComputedStyle(tile.querySelector("." + part)).color;
}
said.edge = getComputedStyle(tile).boxShadow;
return said;
"""


def open_chromium() -> Chrome:
    for path in (CHROMIUM, CHROMEDRIVER):
        assert path.exists(), f"{path} is missing. Run: {INSTALL}"
    options = ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "hide-scrollbars", "mute-audio"):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return Chrome(options, Service(str(CHROMEDRIVER)))


class WallPage:
    """The wall page in a browser. Words are read in one step, so that they belong together."""

    def __init__(self, driver: Chrome, url: str) -> None:
        self.driver, self.url = driver, url

    def open(self, width: int = 1920, height: int = 1080, fragment: str = "") -> None:
        self.driver.get("about:blank")
        self.errors()  # what the page of a test before complained of is not ours
        self.size(width, height)
        self.driver.get(self.url + fragment)

    def size(self, width: int, height: int) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def tile(self, chair: str) -> dict[str, Any] | None:
        """Every word and mark of a chair's tile, by the name of its part; None without such a tile."""
        said: dict[str, Any] | None = self.driver.execute_script(TILE, chair)
        return said

    def wait_tile(
        self, chair: str, condition: Callable[[dict[str, Any]], bool], what: str, within_s: float = 30
    ) -> dict[str, Any]:
        """The tile as it is when `condition` holds."""

        def holds() -> dict[str, Any] | None:
            tile = self.tile(chair)
            return tile if tile is not None and condition(tile) else None

        try:
            found = wait_until(holds, f"{chair} {what}", within_s)
        except AssertionError as error:
            raise AssertionError(f"{error}; the tile is {self.tile(chair)}") from None
        assert found is not None
        return found

    def banner(self) -> str:
        """What the page says about not being live; empty when it is live."""
        return str(self.run("const b = document.getElementById('banner'); return b.hidden ? '' : b.textContent"))

    def wait_live(self) -> None:
        wait_until(lambda: self.banner() == "", "the page to be live")

    def wait_banner(self, word: str, within_s: float = 30) -> str:
        return wait_until(lambda: self.banner() if word in self.banner() else "", f"banner {word!r}", within_s)

    def press(self, selector: str) -> None:
        self.find(selector).click()

    def open_panel(self, chair: str, who: str = "MK") -> None:
        """The chair in full, with somebody's initials typed."""
        self.open(fragment=f"/#chair={chair}")
        self.wait_tile(chair, lambda tile: tile.get("history") is None, "is live")
        self.run(
            "const who = document.getElementById('who'); who.value = arguments[0];"
            "localStorage.setItem('who', arguments[0])",
            who,
        )
        wait_until(lambda: self.run("return document.querySelector('#panel form') !== null"), "the forms")

    def be_patient(self) -> None:
        """Let the page repeat an action for ever: a machine may be slower than a nurse would wait."""
        self.run("AbortSignal.timeout = () => new AbortController().signal")

    def button(self, text: str) -> WebElement:
        """The panel's button with this text."""
        buttons = self.find("#panel").find_elements(By.CSS_SELECTOR, "button")
        return next(button for button in buttons if button.text == text)

    def press_button(self, text: str) -> None:
        self.button(text).click()

    def press_moving(self, element: WebElement) -> None:
        """Press something that a bar or a banner may push aside at this very moment: a pointer could miss it."""
        self.run("arguments[0].click()", element)

    def unfold(self, title: str) -> None:
        """Open what is folded away in the panel behind this title."""
        folds = self.find("#panel").find_elements(By.CSS_SELECTOR, "summary")
        next(fold for fold in folds if fold.text == title).click()

    def notice(self, word: str) -> str:
        """What the page says about an action, once it has this word in it."""
        try:
            wait_until(lambda: word in self.text("#notice"), f"notice {word!r}")
        except AssertionError as error:
            raise AssertionError(f"{error}; the notice is {self.text('#notice')!r}") from None
        return self.text("#notice")

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        return str(self.run("return document.querySelector(arguments[0]).textContent", selector))

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def picture(self, path: Path) -> None:
        """With every flash in its bright half, at two thirds of its size: enough for a page of documentation."""
        self.run(
            "const still = new CSSStyleSheet();"
            "still.replaceSync('.alarm, #site-alarms { animation: none !important }');"
            "document.adoptedStyleSheets = [still]"
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        width, height = self.run("return [innerWidth, innerHeight]")
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 2 / 3}
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png", "clip": clip})
        path.write_bytes(base64.b64decode(shot["data"]))
        self.run("document.adoptedStyleSheets = []")

    def errors(self) -> list[str]:
        """What the browser complained about, such as a script that the content policy stopped."""
        return [line["message"] for line in self.driver.get_log("browser") if line["level"] == "SEVERE"]
