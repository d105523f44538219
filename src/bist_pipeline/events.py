"""Days on which Borsa Istanbul had a reason to move: what a person wants to know before blaming a model.

Dates are those on which the news reached the market; each names where it can be looked up. The drift report
shows those near an alarm. Nothing is decided by them.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np

from bist_pipeline.calendar import TradingCalendar


@dataclass(frozen=True)
class Event:
    """Something that the whole market knew of: what happened, in both languages, and where it is recorded."""

    day: dt.date
    english: str
    turkish: str
    source: str


EVENTS: tuple[Event, ...] = (
    Event(
        dt.date(2020, 3, 11),
        "first case of COVID-19 in Turkey",
        "Türkiye'de ilk COVID-19 vakası",
        "Turkish Ministry of Health, statement of that day; WHO declares a pandemic on it",
    ),
    Event(
        dt.date(2020, 11, 9),
        "central bank governor replaced over the weekend",
        "Merkez Bankası başkanı hafta sonu değişti",
        "Official Gazette of 7 November 2020",
    ),
    Event(
        dt.date(2021, 3, 22),
        "central bank governor dismissed over the weekend",
        "Merkez Bankası başkanı hafta sonu görevden alındı",
        "Official Gazette of 20 March 2021",
    ),
    Event(
        dt.date(2021, 12, 16),
        "policy rate cut to 14 % amid the fall of the lira",
        "TL değer kaybederken politika faizi %14'e indirildi",
        "Central Bank of the Republic of Türkiye, rate decision of that day",
    ),
    Event(
        dt.date(2021, 12, 20),
        "deposits protected against the exchange rate announced in the evening",
        "kur korumalı mevduat akşam saatlerinde açıklandı",
        "Presidency of Türkiye, address after the cabinet meeting of that day",
    ),
    Event(
        dt.date(2022, 2, 24),
        "Russia invades Ukraine",
        "Rusya'nın Ukrayna'yı işgali",
        "United Nations General Assembly, resolution ES-11/1, names the date",
    ),
    Event(
        dt.date(2023, 2, 6),
        "earthquakes of Kahramanmaraş",
        "Kahramanmaraş depremleri",
        "AFAD, reports of that day",
    ),
    Event(
        dt.date(2023, 2, 8),
        "trading halted and the session's trades cancelled; resumed on 15 February",
        "işlemler durduruldu ve seansın işlemleri iptal edildi; 15 Şubat'ta yeniden başladı",
        "Borsa Istanbul, announcement of that day",
    ),
    Event(
        dt.date(2023, 5, 15),
        "first session after the general election of 14 May",
        "14 Mayıs genel seçiminden sonraki ilk seans",
        "Supreme Election Council (YSK), election calendar of 2023",
    ),
    Event(
        dt.date(2023, 5, 29),
        "first session after the presidential run-off of 28 May",
        "28 Mayıs cumhurbaşkanlığı ikinci turundan sonraki ilk seans",
        "Supreme Election Council (YSK), election calendar of 2023",
    ),
    Event(
        dt.date(2023, 6, 22),
        "policy rate raised from 8.5 to 15 %",
        "politika faizi %8,5'ten %15'e yükseltildi",
        "Central Bank of the Republic of Türkiye, rate decision of that day",
    ),
    Event(
        dt.date(2025, 3, 19),
        "mayor of Istanbul detained; market-wide circuit breakers",
        "İstanbul belediye başkanının gözaltına alınması; endeks bazlı devre kesiciler",
        "Borsa Istanbul, Public Disclosure Platform (KAP) notices of that day",
    ),
)


def find_events(first: dt.date, last: dt.date, calendar: TradingCalendar, *, within: int) -> list[Event]:
    """Events from so many sessions before `first` to as many after `last`.

    >>> from bist_pipeline.calendar import bist_calendar
    >>> day = dt.date(2022, 2, 25)
    >>> [event.english for event in find_events(day, day, bist_calendar(), within=5)]
    ['Russia invades Ukraine']
    """
    sessions = calendar.sessions
    begin, end = np.searchsorted(sessions, np.array([first, last], dtype="datetime64[D]"))
    earliest = sessions[max(begin - within, 0)].item()
    latest = sessions[min(end + within, len(sessions) - 1)].item()
    return [event for event in EVENTS if earliest <= event.day <= latest]
