"""Headless Debian Chromium, for tests of pages."""

import contextlib
import os
import pathlib
import time

import pytest

CHROMIUM, DRIVER = '/usr/bin/chromium', '/usr/bin/chromedriver'
# Screenshots are kept here for inspection.
ARTEFACTS = pathlib.Path(__file__).parents[2] / 'work' / 'screenshots'

# All visible text of a page, including shadow trees and frames.
_TEXT = """
const walk = node => {
  let text = '';
  if (node.nodeType === Node.TEXT_NODE) return node.textContent + ' ';
  if (node.shadowRoot) text += walk(node.shadowRoot);
  if (node.contentDocument?.body) text += walk(node.contentDocument.body);
  if (['STYLE', 'SCRIPT'].includes(node.nodeName)) return text;
  for (const child of node.childNodes) text += walk(child);
  return text;
};
return walk(document.body);
"""


@contextlib.contextmanager
def opened(*more):
    """A driver with additional browser arguments; skips the test if there is no Chromium."""
    if not (os.access(CHROMIUM, os.X_OK) and os.access(DRIVER, os.X_OK)):
        pytest.skip('no Chromium here; as root: apt-get install chromium chromium-driver')
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (
        'headless=new',
        'no-sandbox',
        'disable-gpu',
        'disable-quic',
        'no-first-run',
        'disable-background-networking',
        'disable-component-update',
        'disable-sync',
        'window-size=1500,1100',
        'disable-dev-shm-usage',
        *more,
    ):
        options.add_argument(f'--{argument}')
    options.set_capability('goog:loggingPrefs', {'browser': 'ALL'})
    service = webdriver.ChromeService(DRIVER)
    driver = webdriver.Chrome(options=options, service=service)
    try:
        yield driver
    finally:
        driver.quit()


def text_with(driver, wanted, timeout_s=60):
    """The page's text, its words separated by single spaces, once it has all of `wanted`, or at the
    timeout."""
    end = time.monotonic() + timeout_s
    while True:
        text = ' '.join(driver.execute_script(_TEXT).split())
        if all(word in text for word in wanted) or time.monotonic() > end:
            return text
        time.sleep(0.5)


def keep(driver, name):
    """Saves a screenshot among the artefacts."""
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    assert driver.save_screenshot(str(ARTEFACTS / f'{name}.png'))


def emulate(driver, width, scheme, height=844):
    """Sets the window size in pixels and the preferred colour scheme, 'light' or 'dark'."""
    driver.execute_cdp_cmd(
        'Emulation.setDeviceMetricsOverride',
        {'width': width, 'height': height, 'deviceScaleFactor': 1, 'mobile': width < 600},
    )
    driver.execute_cdp_cmd(
        'Emulation.setEmulatedMedia',
        {'features': [{'name': 'prefers-color-scheme', 'value': scheme}]},
    )


def overflow(driver):
    """Horizontal overflow of the page in pixels; below 1 it does not scroll sideways."""
    return driver.execute_script(
        'return document.documentElement.scrollWidth - document.documentElement.clientWidth'
    )


def brightness(driver):
    """Brightness, 0 - 255, of the page's background and text."""
    return driver.execute_script(
        'const style = getComputedStyle(document.body);'
        'const mean = text => text.match(/[0-9]+/g).slice(0, 3).reduce((a, b) => +a + +b) / 3;'
        'return [mean(style.backgroundColor), mean(style.color)];'
    )


def errors(driver):
    """Errors in the console."""
    return [entry['message'] for entry in driver.get_log('browser') if entry['level'] == 'SEVERE']
