"""The pages in a real browser, as people with different eyes, hands, languages and screens meet them."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.browser.conftest import DESKTOP, PHONE
from tests.browser.invented_batch import NEWEST, STALE

pytestmark = [pytest.mark.slow, pytest.mark.integration]

AUDIT = Path(__file__).with_name("audit.js").read_text(encoding="utf-8")
PAGES = ("/", "/symbols/THYAO", "/drift", "/model")
LOOKS = [
    pytest.param(DESKTOP, "light", "tr-TR", id="desktop-light-tr"),
    pytest.param(DESKTOP, "dark", "en-GB", id="desktop-dark-en"),
    pytest.param(PHONE, "dark", "tr-TR", id="phone-dark-tr"),
    pytest.param({"width": 320, "height": 640}, "light", "en-GB", id="small-phone-light-en"),
]
SYMBOLS = "#ranking tbody th.share a"


def shown_symbols(page) -> list[str]:
    return page.locator(SYMBOLS).all_inner_texts()


def audit(page) -> list[str]:
    page.evaluate("document.querySelectorAll('details').forEach((part) => (part.open = true))")
    return page.evaluate(AUDIT)


@pytest.mark.parametrize(("viewport", "scheme", "locale"), LOOKS)
def test_every_page_is_sound_on_every_screen(visit, sites, viewport, scheme, locale):
    reader = visit("fresh", locale=locale, viewport=viewport, color_scheme=scheme)
    for path in (*PAGES, "/?q=nobody", "/symbols/THYA0", "/no/such/page"):
        page = reader.open(path, status=200 if path in PAGES or "?" in path else 404)
        assert page.get_attribute("html", "lang") == locale[:2]
        assert audit(page) == [], path
        width = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert width[0] <= width[1], f"{path} scrolls sideways"
    assert reader.complaints == []
    assert reader.hosts == {urlsplit(sites["fresh"]).netloc}


def test_dark_is_dark_and_light_is_light(visit):
    paper = {}
    for scheme in ("light", "dark"):
        page = visit("fresh", color_scheme=scheme).open("/")
        color = page.evaluate("getComputedStyle(document.body).backgroundColor")
        paper[scheme] = sum(map(int, re.findall(r"\d+", color)))

    assert paper["light"] > 3 * 230
    assert paper["dark"] < 3 * 40


@pytest.mark.parametrize("with_script", [True, False], ids=["script", "no-script"])
def test_shares_are_found_filtered_and_ordered_with_and_without_a_script(visit, with_script):
    reader = visit("fresh", locale="tr-TR", java_script_enabled=with_script)
    page = reader.open("/")
    assert shown_symbols(page)[0] == "THYAO"
    assert len(shown_symbols(page)) == 50

    def show() -> None:
        if not with_script:
            page.click("form.find button")

    page.fill("input[name=q]", "türkıye ış")
    show()
    page.wait_for_url("**/?q=**")
    page.locator(SYMBOLS).nth(1).wait_for(state="detached")
    assert shown_symbols(page) == ["ISCTR"]

    page.fill("input[name=q]", "")
    page.select_option("select[name=sector]", "Energy")
    page.check("input[name=tradable]")
    show()
    page.wait_for_url(lambda url: "sector=Energy" in url and "tradable=1" in url)
    page.locator("td.sector", has_text="Enerji").nth(5).wait_for()
    assert set(page.locator("td.sector").all_inner_texts()) == {"Enerji"}
    assert page.locator(".untradable").count() == 0

    page.click("th.number >> text=Beklenen fark")
    page.wait_for_url("**sort=-expected**")
    assert page.get_attribute("th[aria-sort=descending]", "aria-sort")
    largest = page.locator("td.expected").all_inner_texts()
    page.click("th.number >> text=Beklenen fark")
    page.wait_for_url("**sort=expected**")
    assert page.locator("td.expected").all_inner_texts() == largest[::-1]
    assert reader.complaints == []


def test_all_pages_of_the_table_together_hold_every_share_once(visit):
    reader = visit("fresh")
    page = reader.open("/?sort=symbol")
    found = shown_symbols(page)
    while page.locator("a[rel=next]").count():
        page.click("a[rel=next]")
        page.wait_for_load_state()
        found += shown_symbols(page)

    assert len(found) == 120
    assert found == sorted(set(found))


def test_a_share_is_reached_by_keyboard_alone(visit):
    page = visit("fresh").open("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.name") == "q":
            break
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    page.keyboard.type("thyao")
    page.locator(SYMBOLS).nth(1).wait_for(state="detached")
    page.keyboard.press("Enter")
    page.wait_for_url("**/symbols/THYAO")

    assert outline == "solid"
    assert page.inner_text("h1") == "THYAO: three-month forecast"


def test_a_quick_enter_opens_the_share_that_was_typed_last(visit):
    page = visit("fresh").open("/")
    page.fill("input[name=q]", "ISCTR")
    page.locator(SYMBOLS).nth(1).wait_for(state="detached")
    assert shown_symbols(page) == ["ISCTR"]

    page.fill("input[name=q]", "THYAO")
    page.press("input[name=q]", "Enter")
    page.wait_for_url("**/symbols/*")

    assert page.url.endswith("/symbols/THYAO")


def test_a_server_that_cannot_be_reached_is_told_beside_the_table(visit):
    reader = visit("fresh", locale="tr-TR")
    page = reader.open("/")
    page.context.set_offline(True)
    page.fill("input[name=q]", "ISCTR")
    page.get_by_role("status").get_by_text("Sunucuya ulaşılamadı").wait_for()
    assert len(shown_symbols(page)) == 50
    page.context.set_offline(False)
    page.fill("input[name=q]", "ISCT")
    page.locator(SYMBOLS).nth(1).wait_for(state="detached")

    assert not reader.reads("Sunucuya ulaşılamadı")


@pytest.mark.parametrize(
    "viewport", [DESKTOP, {"width": 800, "height": 900}, PHONE], ids=["desktop", "tablet", "phone"]
)
def test_interval_and_driver_are_words_in_the_table_on_every_screen(visit, viewport):
    page = visit("fresh", viewport=viewport).open("/")
    row = (
        page.get_by_role("table")
        .first.get_by_role("row")
        .filter(has=page.get_by_role("rowheader", name="THYAO"))
    )
    cells = [cell for cell in row.get_by_role("cell").all() if cell.is_visible()]
    told = " | ".join(cell.inner_text() for cell in cells)

    assert "−19% … +45%" in told
    assert "Volatility over 126 sessions" in told
    assert page.get_by_role("columnheader", name="80% interval").last.is_visible()


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize(
    ("locale", "banner", "unread"),
    [
        ("tr-TR", "Veritabanı yanıt vermiyor.", "Şu anda okunamıyor"),
        ("en-GB", "The database does not answer.", "Cannot be read at the moment"),
    ],
)
def test_without_the_database_what_was_read_is_shown_and_says_so(visit, viewport, locale, banner, unread):
    reader = visit("lost", locale=locale, viewport=viewport)
    for path in PAGES:
        page = reader.open(path)
        assert banner in page.locator(".note.alarm").inner_text()
        assert audit(page) == [], path
        assert reader.reads(unread) == (path == "/symbols/THYAO")
    assert reader.complaints == []


def test_forecast_trust_and_record_of_a_share_are_told_in_words(visit):
    reader = visit("fresh", locale="tr-TR")
    reader.open("/symbols/thyao.is")

    assert reader.page.url.endswith("/symbols/THYAO")
    assert reader.reads(
        "Önümüzdeki 63 seansta THYAO hissesinin medyan hisseden %7,3 fazla getirmesi bekleniyor."
    )
    assert reader.reads("%80 şu demek: böyle on tahminden yaklaşık sekizi")
    assert reader.reads("sıralamanın isabeti kanıtlanamadı")
    assert reader.reads("sırayı yükseltiyor")
    assert reader.reads("sonucu belli olan 3 tahminin 3 tanesi aralığında kaldı")
    assert reader.reads("yatırım tavsiyesi değildir")
    assert reader.page.locator("figure.price polyline").count() == 1
    assert reader.page.locator("svg.history .band").count() == 3


def test_the_price_chart_reads_the_close_under_the_pointer(visit):
    page = visit("fresh").open("/symbols/THYAO")
    page.hover("svg.closes")

    assert re.fullmatch(r"\d+ \w{3} \d{4}\s+₺\d+\.\d\d", page.inner_text(".reading"))


def test_the_language_can_be_changed_and_is_remembered(visit):
    reader = visit("fresh", locale="tr-TR")
    page = reader.open("/?q=THY")
    page.click("a[hreflang=en]")
    page.wait_for_url("**lang=en**")
    assert page.input_value("input[name=q]") == "THY"
    reader.open("/drift")

    assert reader.page.get_attribute("html", "lang") == "en"
    assert reader.reads("What to do")


def test_drift_and_model_say_what_is_known(visit):
    reader = visit("fresh")
    page = reader.open("/drift")
    assert reader.reads("Nothing unusual.")
    assert page.locator(".timeline rect").count() == 30
    assert page.locator(".timeline rect.amber").count() == 1
    assert reader.reads("in 4 of 10 checks")
    assert reader.reads("Return over 21 sessions mom_21 beyond its record")
    assert page.locator(".heat tbody tr").count() == 3
    assert page.locator(".heat tr:has-text('mom_21') svg rect").count() == 26
    assert page.locator(".heat tr:has-text('mom_21') svg rect").last.get_attribute("class") == "shade4"

    page = reader.open("/model")
    assert reader.reads("Not worse than the champion")
    assert page.locator("tr.own").first.inner_text().startswith("the published ranks")
    assert page.get_attribute("a:has-text('MLflow')", "href") == "http://127.0.0.1:5000"


def test_the_whole_drift_report_is_one_click_away_and_nothing_in_it_is_fetched_or_run(visit, sites):
    reader = visit("fresh", viewport=PHONE, java_script_enabled=False)
    page = reader.open("/drift")
    assert page.locator("details a[href^='/drift/reports/']").count() == 1
    page.click("a:has-text('The whole report of this session')")
    page.wait_for_url("**/drift/reports/*")

    assert page.inner_text("h1") == f"Drift {NEWEST}"
    # Its own style and charts pass the policy: a card is white, a chart has a width.
    assert page.locator("section").first.evaluate("e => getComputedStyle(e).borderRadius") == "8px"
    assert page.locator("figure img").first.evaluate("image => image.naturalWidth") > 0
    page.check("#turkish", force=True)
    assert reader.reads("Neyi göremez")
    assert not reader.reads("What it cannot see")
    width = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width[0] <= width[1]
    assert reader.complaints == []
    assert reader.hosts == {urlsplit(sites["fresh"]).netloc}


@pytest.mark.parametrize(("locale", "words"), [("en", "No drift report of"), ("tr", "kayma raporu yok")])
@pytest.mark.parametrize("session", ["2001-01-02", "no-day"])
def test_a_session_without_a_report_is_said_in_the_readers_language(visit, locale, words, session):
    reader = visit("fresh", locale=locale)
    reader.open(f"/drift/reports/{session}", status=404)

    assert reader.reads(words)


def test_tests_on_the_past_are_compared_with_the_simplest_rule_and_promise_nothing(visit):
    reader = visit("fresh")
    page = reader.open("/model")
    tests = page.locator("section[aria-labelledby=backtests]")

    assert "history, not a promise" in tests.inner_text()
    # The training's two rankings, and the backtest's five.
    assert tests.locator("table.tests tbody tr").count() == 2 + 5
    assert tests.locator("table.tests .interval .band").count() == 2 + 5
    assert reader.reads("The model was ahead of the simplest rule, calmest shares first, by 0.041")
    assert reader.reads("did almost as well: the model leads it by 0.012")
    assert reader.reads("112 dates in 9 stretches")
    tests.locator("summary").last.click()
    assert tests.locator("details[open] tbody tr").first.inner_text().split()[-2:] == ["+0.141", "+0.096"]


def test_what_checks_and_decisions_say_is_in_the_readers_language(visit):
    reader = visit("fresh", locale="tr-TR")
    for path, said in {
        "/drift": ("10 denetimin 4 tanesinde", "mom_21 oynadı.", "21 seanslık getiri", "3,4×"),
        "/model": ("Kullanımdaki modelden kötü değil: sıra IC'si 0,131", "Rastgele sıralamadan iyi."),
    }.items():
        page = reader.open(path)
        text = page.locator("main").inner_text()
        assert [words for words in said if words not in text] == []
        assert page.locator("main [lang=en]").count() == 0


def test_past_gains_stand_apart_from_the_forecast(visit):
    past = visit("fresh").open("/").locator("section.past")

    assert "Past, not forecast" in past.inner_text()
    assert past.locator("tbody tr").count() == 5


def test_an_old_batch_of_an_invented_market_says_both_and_what_held_the_next_one_back(visit):
    reader = visit("stale")
    reader.open("/")

    assert reader.reads("These ranks are old.")
    assert reader.reads("4 sessions behind")
    assert reader.reads(f"They are from {STALE.day} {STALE:%B %Y}")
    assert reader.reads("These shares do not exist.")
    assert reader.reads(f"Drift alarm on {NEWEST.day} {NEWEST:%B %Y}.")
    assert reader.reads("Do not rely on these ranks until the cause is known.")


def test_estimates_of_the_past_are_never_called_a_forecast(visit):
    reader = visit("snapshot")
    for path in ("/", "/symbols/THYAO"):
        reader.open(path)
        assert reader.reads("This is not a forecast.")
        words = reader.page.inner_text("main").replace("not forecast", "").replace("not a forecast", "")
        assert not re.search("forecast|is expected", words + reader.page.title())


@pytest.mark.parametrize(
    ("site", "words"),
    [
        ("empty", "Henüz bir sıralama yayımlanmadı"),
        ("gone", "Veritabanı yanıt vermiyor"),
        ("bare", "Veritabanının sürümü farklı"),
    ],
)
def test_without_a_batch_the_page_says_why(visit, site, words):
    reader = visit(site, locale="tr-TR")
    for path in PAGES:
        page = reader.open(path, status=503)
        assert page.inner_text("h1") == words
        assert page.evaluate(AUDIT) == []
    assert reader.complaints == []


def test_an_unknown_share_leads_to_similar_ones(visit):
    page = visit("fresh", locale="tr-TR").open("/symbols/THYA0", status=404)
    assert page.inner_text("h1") == "“THYA0” diye bir hisse yok"
    page.click("text=THYAO")
    page.wait_for_url("**/symbols/THYAO")


def test_no_symbol_at_all_leads_to_the_ranking(visit):
    page = visit("fresh").open("/symbols/?lang=tr")
    assert urlsplit(page.url).path == "/"
    assert page.inner_text("h1") == "Üç aylık sıralama"


@pytest.mark.parametrize(
    "symbol", ["%3Cscript%3Ealert(1)%3C%2Fscript%3E", "%00", "A" * 3000, "..%2F..%2Fetc"]
)
def test_no_symbol_breaks_the_page(visit, symbol):
    reader = visit("fresh")
    reader.open(f"/symbols/{symbol}", status=404)
    assert reader.complaints == []
    assert reader.page.locator("main script").count() == 0
