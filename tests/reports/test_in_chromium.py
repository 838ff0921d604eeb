"""Reports in a real browser: a silent console, nothing asked of anybody, as wide as the window, harmless names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pages
import pytest
from browser import Browser, installed
from commands import Commands

import mr_ml

WIDE, NARROW = 1100, 360


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = installed()
    if program is None:
        pytest.skip("no Chromium: apt-get install chromium, or set MR_ML_TEST_CHROMIUM to one")
    with Browser(program) as opened:
        yield opened


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    folder = tmp_path_factory.mktemp("hostile")
    commands = Commands(folder / "root", runner=("-r", "inline"))
    labels = [pages.SCRIPT, pages.BIDI + pages.CONTROLS, pages.STYLE]
    columns = (pages.IMAGE, pages.ENTITY, pages.LONG)
    pages.packed(commands, folder, "hostile", labels, columns=columns)
    commands("train", "hostile", "--model", "m", "--loss", "softmax", "--l2", "0.01", "-r", "inline")
    commands("evaluate", "m", "hostile", "--save", "--by", pages.LONG, "-r", "inline")
    return commands


def written(commands: Commands, reference: str, folder: Path) -> Path:
    file = folder / "report.html"
    mr_ml.report(commands.root, reference, file)
    return file


# what sticks out of the window and cannot be scrolled to by itself
STICKS_OUT = """[...document.querySelectorAll("body *")].filter(one => {
  const box = one.getBoundingClientRect();
  return !one.closest(".scroll") && box.width > 0 && (box.right > innerWidth + 0.5 || box.left < -0.5);
}).map(one => one.outerHTML.slice(0, 200))"""


def look(browser: Browser, file: Path, *, width: int, scheme: str = "light") -> None:
    browser.open(file, width=width, scheme=scheme)
    assert browser.complaints() == []
    assert browser.requests() == [file.resolve().as_uri()]
    assert browser.value("document.compatMode") == "CSS1Compat"
    assert browser.value("document.documentElement.scrollWidth") == width
    assert browser.value(STICKS_OUT) == []
    # the style sheet is taken, whatever the policy forbids
    assert browser.value("getComputedStyle(document.querySelector('section')).borderTopWidth") == "1px"


@pytest.mark.parametrize("reference", ["churn", "level", "spend", "margins", "unmeasured", "tuned"])
def test_as_wide_as_the_window(kept: Commands, browser: Browser, tmp_path: Path, reference: str) -> None:
    file = written(kept, reference, tmp_path)
    for width in (WIDE, NARROW):
        look(browser, file, width=width)
    # every chart has a size, and its texts are inside of it
    inside = """[...document.querySelectorAll("svg.plot")].map(plot => {
      const outer = plot.getBoundingClientRect();
      return outer.width > 200 && outer.height > 100 && [...plot.querySelectorAll("text")].every(text => {
        const box = text.getBoundingClientRect();
        return box.left >= outer.left - 1 && box.right <= outer.right + 1 && box.bottom <= outer.bottom + 1;
      });
    })"""
    assert set(browser.value(inside)) == {True}


def test_a_retraining(nights_kept: Commands, browser: Browser, tmp_path: Path) -> None:
    for width in (WIDE, NARROW):
        look(browser, written(nights_kept, "ctr@2", tmp_path), width=width)


CONTRAST = """(() => {
  const light = text => {
    const [r, g, b] = text.match(/[0-9.]+/g).map(Number).map(v => v / 255).map(
      v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = one => {
    for (; one; one = one.parentElement) {
      const color = getComputedStyle(one).backgroundColor;
      if (color !== "rgba(0, 0, 0, 0)") return color;
    }
  };
  const texts = "p, h1, h2, dt, dd, th, td, figcaption, summary, code, a, svg text";
  return [...document.querySelectorAll(texts)].map(one => {
    const style = getComputedStyle(one), inside = one.closest("svg");
    const [a, b] = [light(inside ? style.fill : style.color), light(ground(one))].sort((x, y) => y - x);
    return [(a + 0.05) / (b + 0.05), one.outerHTML.slice(0, 80)];
  }).filter(([ratio]) => ratio < 4.5);
})()"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_can_be_read(kept: Commands, browser: Browser, tmp_path: Path, scheme: str) -> None:
    """By the ratio that WCAG 2.2 asks for of text (1.4.3)."""
    look(browser, written(kept, "churn", tmp_path), width=WIDE, scheme=scheme)
    ground = browser.value("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(20, 23, 26)") is (scheme == "dark")
    assert browser.value(CONTRAST) == []


def test_hostile_names(hostile: Commands, browser: Browser, tmp_path: Path) -> None:
    file = written(hostile, "m", tmp_path)
    for width in (WIDE, NARROW):
        look(browser, file, width=width)
        assert browser.value("document.title") == "m@1 \u2013 mr_ml report"
        assert browser.value("document.querySelectorAll('script, img, b, [onclick], [onerror]').length") == 0
    shown = browser.value("document.body.textContent")
    assert [text for text in (pages.SCRIPT, pages.IMAGE, pages.STYLE, pages.ENTITY) if text not in shown] == []


def test_what_the_policy_forbids_is_not_done(kept: Commands, browser: Browser, tmp_path: Path) -> None:
    """Even if a name came through: no script runs and no picture is fetched, and the browser says so."""
    file = written(kept, "spend", tmp_path)
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("</h1>", f"</h1>{pages.SCRIPT}<img src='http://127.0.0.1:9/x'>"), encoding="utf-8")
    browser.open(file, width=WIDE)
    assert browser.value("document.title") == "spend@1 \u2013 mr_ml report"
    assert len(browser.complaints()) >= 2


def test_on_paper(kept: Commands, browser: Browser, tmp_path: Path) -> None:
    browser.open(written(kept, "churn", tmp_path), width=WIDE, scheme="dark", media="print")
    assert browser.value("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.value("getComputedStyle(document.querySelector('nav')).display") == "none"
    assert browser.value(CONTRAST) == []
