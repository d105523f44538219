"""The words of every problem, in English and Turkish: title, detail and, where something leads on, what does.

The facts of the case are in braces.
"""

from __future__ import annotations

from collections.abc import Mapping

from serving.negotiation import Language

Texts = Mapping[str, Mapping[Language, tuple[str, str] | tuple[str, str, str]]]

PROBLEMS: Texts = {
    "unknown-symbol": {
        "en": ("Unknown symbol", "No share {symbol!r} among the {universe} ranked for {session}."),
        "tr": ("Bilinmeyen sembol", "{session} için sıralanan {universe} hisse arasında {symbol!r} yok."),
    },
    "unknown-sector": {
        "en": ("Unknown sector", "sector: none of the {universe} ranked shares is in {sector!r}."),
        "tr": ("Bilinmeyen sektör", "sector: sıralanan {universe} hissenin hiçbiri {sector!r} içinde değil."),
    },
    "session-not-published": {
        "en": (
            "Session not published",
            "Nothing is published for {session}; there are {count} published session(s) "
            "from {first} to {last}.",
        ),
        "tr": (
            "Yayımlanmamış seans",
            "{session} için yayımlanmış bir şey yok; {first} ile {last} arasında {count} seans yayımlandı.",
        ),
    },
    "invalid-parameters": {
        "en": ("Invalid parameters", "{what}"),
        "tr": ("Geçersiz parametreler", "{what}"),
    },
    "nothing-published": {
        "en": ("Nothing published", "No predictions have been published yet.", "bist run"),
        "tr": ("Henüz yayın yok", "Henüz hiçbir tahmin yayımlanmadı.", "bist run"),
    },
    "database-unavailable": {
        "en": (
            "Database unavailable",
            "The predictions database does not answer; it is tried again all the time.",
            "If it lasts: bist doctor, and look whether the database runs",
        ),
        "tr": (
            "Veritabanına ulaşılamıyor",
            "Tahmin veritabanı yanıt vermiyor; sürekli yeniden deneniyor.",
            "Sürerse: bist doctor; veritabanının çalıştığına da bakın",
        ),
    },
    "schema-mismatch": {
        "en": (
            "Schema mismatch",
            "The predictions database does not have the schema that this server reads.",
            "bist run (an empty database), bist db upgrade (an older schema), a newer server (a newer one)",
        ),
        "tr": (
            "Şema uyuşmuyor",
            "Tahmin veritabanının şeması, bu sunucunun okuduğu şema değil.",
            "bist run (boş veritabanında), bist db upgrade (eski şemada), daha yeni bir sunucu (yeni şemada)",
        ),
    },
    "stale-publication": {
        "en": (
            "Stale publication",
            "The newest publication is of {published}; {age} session(s) closed since, up to {expected}.",
            "bist run --session {expected}",
        ),
        "tr": (
            "Eskimiş yayın",
            "En yeni yayın {published} seansına ait; o günden {expected} tarihine kadar {age} seans kapandı.",
            "bist run --session {expected}",
        ),
    },
    "freshness-unknown": {
        "en": (
            "Freshness unknown",
            "The newest publication is of {published}, but the stored trading calendar has ended.",
            "bist run",
        ),
        "tr": (
            "Güncellik bilinmiyor",
            "En yeni yayın {published} seansına ait, ancak kayıtlı işlem takvimi sona erdi.",
            "bist run",
        ),
    },
    "not-acceptable": {
        "en": ("Not acceptable", "This answer exists as {offered} only."),
        "tr": ("Kabul edilebilir biçim yok", "Bu yanıt yalnızca şu biçimlerde var: {offered}."),
    },
    "key-required": {
        "en": ("Key required", "Send a valid API key in the header X-API-Key."),
        "tr": ("Anahtar gerekli", "X-API-Key başlığında geçerli bir API anahtarı gönderin."),
    },
    "too-many-requests": {
        "en": ("Too many requests", "This key may ask {limit} times a minute."),
        "tr": ("Çok fazla istek", "Bu anahtarla dakikada {limit} istek yapılabilir."),
    },
    "untrusted-host": {
        "en": (
            "Untrusted host",
            "This server does not go by the name {host!r}. Its operator names it in "
            "BIST_SERVING__TRUSTED_HOSTS.",
        ),
        "tr": (
            "Güvenilmeyen ad",
            "Bu sunucunun adı {host!r} değil. İşleten kişi adı BIST_SERVING__TRUSTED_HOSTS ile tanımlar.",
        ),
    },
    "body-too-large": {
        "en": ("Body too large", "No request needs a body of more than {limit} bytes."),
        "tr": ("Gövde çok büyük", "Hiçbir istek {limit} bayttan büyük bir gövde gerektirmez."),
    },
    "address-too-long": {
        "en": ("Address too long", "Path and query may have {limit} characters together."),
        "tr": ("Adres çok uzun", "Yol ve sorgu birlikte en çok {limit} karakter olabilir."),
    },
    "not-found": {
        "en": ("Not found", "There is nothing at this path.", "/docs"),
        "tr": ("Bulunamadı", "Bu adreste bir şey yok.", "/docs"),
    },
    "method-not-allowed": {
        "en": ("Method not allowed", "Everything here is read with GET.", "/docs"),
        "tr": ("Yönteme izin yok", "Buradaki her şey GET ile okunur.", "/docs"),
    },
    "refused": {
        "en": ("Request refused", "{what}", "/docs"),
        "tr": ("İstek reddedildi", "{what}", "/docs"),
    },
    "unreadable-data": {
        "en": (
            "Unreadable data",
            "What is newest in the database cannot be read; this server's log says why. "
            "What was read before is still served.",
            "bist run",
        ),
        "tr": (
            "Veriler okunamıyor",
            "Veritabanındaki en yeni veriler okunamıyor; nedeni bu sunucunun günlüğünde. "
            "Daha önce okunanlar gösterilmeye devam ediyor.",
            "bist run",
        ),
    },
    "internal-error": {
        "en": ("Internal error", "A fault of this server, not of the request; its log has the details."),
        "tr": ("İç hata", "İstekten değil, bu sunucudan kaynaklanan bir hata; ayrıntılar günlüğünde."),
    },
}

# By pydantic's name of the fault; in English, pydantic's own words are good.
PARAMETER_FAULTS: Mapping[str, str] = {
    "int_parsing": "Bir tam sayı olmalı",
    "int_parsing_size": "Bu sayı çok büyük",
    "int_from_float": "Bir tam sayı olmalı",
    "float_parsing": "Bir sayı olmalı",
    "finite_number": "Sonlu bir sayı olmalı",
    "bool_parsing": "true ya da false olmalı",
    "greater_than_equal": "En az {ge} olmalı",
    "less_than_equal": "En çok {le} olmalı",
    "iso_date": "YYYY-AA-GG biçiminde bir tarih olmalı",
    "date_parsing": "Takvimde olan bir tarih olmalı",
    "date_from_datetime_parsing": "Takvimde olan bir tarih olmalı",
    "string_too_long": "En çok {max_length} karakter olmalı",
    "too_long": "En çok {max_length} değer olmalı",
    "extra_forbidden": "Böyle bir parametre yok",
    "literal_error": "Şunlardan biri olmalı: {expected}",
    "given_twice": "Yalnızca bir kez verilebilir",
}
OTHER_PARAMETER_FAULT = "Bu değer kullanılamaz"
