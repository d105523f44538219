"""What features are called in sentences, English and Turkish, and how their values are said.

A key is a feature's name, or its shape with `#` for every number; the numbers go into `{0}`, `{1}`. A
feature without words of its own is called by its name.
"""

from __future__ import annotations

# Long horizon: windows in sessions.
_LONG_HORIZON = {
    "mom_#": ("Return over {0} sessions", "{0} seanslık getiri"),
    "mom_#_#": ("Return over {0} sessions without the last {1}", "Son {1} seans hariç {0} seanslık getiri"),
    "season_#_#": (
        "Return in the {1} sessions that followed {0} sessions ago",
        "{0} seans önce başlayan {1} seanslık getiri",
    ),
    "steady_mom_#_#": (
        "Steadiness of the lead over the market in {0} sessions without the last {1}",
        "Son {1} seans hariç {0} seansta piyasaya göre üstünlüğün istikrarı",
    ),
    "win_share_#": ("Share of rising sessions among {0}", "{0} seans içinde yükselenlerin payı"),
    "overnight_#": ("Mean overnight return over {0} sessions", "{0} seanslık ortalama gece getirisi"),
    "dist_high_#": ("Distance to the high of {0} sessions", "{0} seanslık zirveye uzaklık"),
    "dist_low_#": ("Distance to the low of {0} sessions", "{0} seanslık dibe uzaklık"),
    "dist_mean_#": ("Distance to the mean of {0} sessions", "{0} seanslık ortalamaya uzaklık"),
    "drawdown_#": ("Deepest fall within {0} sessions", "{0} seanstaki en derin düşüş"),
    "max_ret_#": ("Best day of {0} sessions", "{0} seansın en iyi günü"),
    "min_ret_#": ("Worst day of {0} sessions", "{0} seansın en kötü günü"),
    "vol_#": ("Volatility over {0} sessions", "{0} seanslık oynaklık"),
    "downside_vol_#": ("Downside volatility over {0} sessions", "{0} seanslık aşağı yönlü oynaklık"),
    "idio_vol_#": (
        "Volatility apart from the market over {0} sessions",
        "{0} seanslık, piyasadan bağımsız oynaklık",
    ),
    "beta_#": ("Beta over {0} sessions", "{0} seanslık beta"),
    "corr_#": ("Correlation with the market over {0} sessions", "{0} seanslık piyasayla korelasyon"),
    "skew_#": ("Skewness of the returns of {0} sessions", "{0} seanslık getirilerin çarpıklığı"),
    "limit_up_#": ("Share of limit-up days among {0} sessions", "{0} seansta tavan günlerinin payı"),
    "limit_down_#": ("Share of limit-down days among {0} sessions", "{0} seansta taban günlerinin payı"),
    "range_#": ("Daily price range over {0} sessions", "{0} seanslık günlük fiyat aralığı"),
    "close_location_#": (
        "Place of the close in the day's range over {0} sessions",
        "{0} seansta kapanışın gün aralığındaki yeri",
    ),
    "spread_#": ("Estimated bid-ask spread over {0} sessions", "{0} seanslık tahmini alış-satış makası"),
    "amihud_#": ("Illiquidity over {0} sessions", "{0} seanslık likidite azlığı"),
    "turnover_#": ("Traded value over {0} sessions", "{0} seanslık işlem tutarı"),
    "turnover_cv_#": (
        "Unevenness of the traded value over {0} sessions",
        "{0} seanslık işlem tutarının düzensizliği",
    ),
    "turnover_trend_#": (
        "Recent traded value against that of {0} sessions",
        "Son işlem tutarının {0} seanslığa göre durumu",
    ),
    "zero_days_#": ("Share of days without a trade among {0} sessions", "{0} seansta işlemsiz günlerin payı"),
}

# Reports: windows in quarters.
_FUNDAMENTALS = {
    "operating_margin_#q": ("Operating margin of {0} quarters", "{0} çeyreklik faaliyet kâr marjı"),
    "net_margin_#q": ("Net margin of {0} quarters", "{0} çeyreklik net kâr marjı"),
    "roe_#q": ("Return on equity of {0} quarters", "{0} çeyreklik özkaynak kârlılığı"),
    "gross_profitability_#q": (
        "Gross profit on assets of {0} quarters",
        "{0} çeyreklik brüt kârın varlıklara oranı",
    ),
    "asset_turnover_#q": ("Asset turnover of {0} quarters", "{0} çeyreklik varlık devir hızı"),
    "accruals_#q": (
        "Part of the earnings of {0} quarters that did not arrive as cash",
        "{0} çeyrekte nakde dönmeyen kâr",
    ),
    "free_cash_#q": (
        "Free cash flow on assets of {0} quarters",
        "{0} çeyreklik serbest nakit akışının varlıklara oranı",
    ),
    "revenue_growth_#q": ("Revenue growth over {0} quarters", "{0} çeyreklik hasılat büyümesi"),
    "earnings_change_#q": ("Change of earnings over {0} quarters", "{0} çeyreklik kâr değişimi"),
    "margin_change_#q": (
        "Change of the operating margin over {0} quarters",
        "{0} çeyreklik faaliyet marjı değişimi",
    ),
    "asset_growth_#q": ("Growth of assets over {0} quarters", "{0} çeyreklik varlık büyümesi"),
    "leverage_#q": ("Ratio of liabilities to assets", "Yükümlülüklerin varlıklara oranı"),
    "net_debt_#q": ("Ratio of net debt to assets", "Net borcun varlıklara oranı"),
    "current_ratio_#q": ("Current ratio", "Cari oran"),
    "cash_share_#q": ("Ratio of cash to assets", "Nakdin varlıklara oranı"),
}

# Alpha158: the session's own bar, then statistics over windows of sessions.
_ALPHA158 = {
    "KMID": ("Move from open to close in the session", "Seansın açılıştan kapanışa hareketi"),
    "KLEN": ("Length of the session's bar", "Seans mumunun boyu"),
    "KMID2": ("Body of the session's bar", "Seans mumunun gövdesi"),
    "KUP": ("Upper shadow of the session's bar", "Seans mumunun üst gölgesi"),
    "KUP2": ("Upper shadow as part of the session's bar", "Üst gölgenin mum içindeki payı"),
    "KLOW": ("Lower shadow of the session's bar", "Seans mumunun alt gölgesi"),
    "KLOW2": ("Lower shadow as part of the session's bar", "Alt gölgenin mum içindeki payı"),
    "KSFT": ("Shift of the close in the session's bar", "Kapanışın seans mumundaki kayması"),
    "KSFT2": ("Place of the close in the session's bar", "Kapanışın seans mumundaki yeri"),
    "OPEN0": ("Open of the session", "Seansın açılışı"),
    "HIGH0": ("High of the session", "Seansın en yükseği"),
    "LOW0": ("Low of the session", "Seansın en düşüğü"),
    "VWAP0": ("Mean price of the session", "Seansın ortalama fiyatı"),
    "ROC#": ("Close of {0} sessions ago", "{0} seans önceki kapanış"),
    "MA#": ("Mean close of {0} sessions", "{0} seanslık ortalama kapanış"),
    "STD#": ("Spread of the closes of {0} sessions", "{0} seanslık kapanışların dağılımı"),
    "BETA#": ("Slope of the price over {0} sessions", "{0} seanslık fiyat eğimi"),
    "RSQR#": (
        "Straightness of the price's trend over {0} sessions",
        "{0} seanslık fiyat eğiliminin düzgünlüğü",
    ),
    "RESI#": (
        "Distance of the close from its trend over {0} sessions",
        "Kapanışın {0} seanslık eğiliminden sapması",
    ),
    "MAX#": ("High of {0} sessions", "{0} seansın en yükseği"),
    "MIN#": ("Low of {0} sessions", "{0} seansın en düşüğü"),
    "QTLU#": ("Upper fifth of the closes of {0} sessions", "{0} seanslık kapanışların üst beşte biri"),
    "QTLD#": ("Lower fifth of the closes of {0} sessions", "{0} seanslık kapanışların alt beşte biri"),
    "RANK#": (
        "Place of the close among those of {0} sessions",
        "Kapanışın {0} seanslık kapanışlar içindeki sırası",
    ),
    "RSV#": ("Place of the close in the range of {0} sessions", "Kapanışın {0} seanslık aralıktaki yeri"),
    "IMAX#": ("Recency of the high of {0} sessions", "{0} seanslık zirvenin yakınlığı"),
    "IMIN#": ("Recency of the low of {0} sessions", "{0} seanslık dibin yakınlığı"),
    "IMXD#": (
        "Lead of the high over the low in {0} sessions",
        "{0} seansta zirvenin dipten sonra gelme süresi",
    ),
    "CORR#": ("Correlation of close and volume over {0} sessions", "{0} seanslık kapanış-hacim korelasyonu"),
    "CORD#": (
        "Correlation of the changes of close and volume over {0} sessions",
        "{0} seanslık kapanış ve hacim değişimlerinin korelasyonu",
    ),
    "CNTP#": ("Count of rising sessions among {0}", "{0} seans içinde yükselenler"),
    "CNTN#": ("Count of falling sessions among {0}", "{0} seans içinde düşenler"),
    "CNTD#": ("Balance of rising and falling sessions among {0}", "{0} seansta yükselenler eksi düşenler"),
    "SUMP#": ("Sum of gains over {0} sessions", "{0} seanslık kazançlar"),
    "SUMN#": ("Sum of losses over {0} sessions", "{0} seanslık kayıplar"),
    "SUMD#": ("Balance of gains and losses over {0} sessions", "{0} seanslık kazançlar eksi kayıplar"),
    "VMA#": ("Mean volume of {0} sessions", "{0} seanslık ortalama hacim"),
    "VSTD#": ("Spread of the volumes of {0} sessions", "{0} seanslık hacimlerin dağılımı"),
    "WVMA#": (
        "Unevenness of moves with volume over {0} sessions",
        "{0} seanslık hacimli hareketlerin düzensizliği",
    ),
    "VSUMP#": ("Growth of volume over {0} sessions", "{0} seanslık hacim artışları"),
    "VSUMN#": ("Decline of volume over {0} sessions", "{0} seanslık hacim azalışları"),
    "VSUMD#": ("Growth less decline of volume over {0} sessions", "{0} seanslık hacim artışı eksi azalışı"),
}

NAMES: dict[str, tuple[str, str]] = {**_LONG_HORIZON, **_FUNDAMENTALS, **_ALPHA158}

# Unit in the registry: factor, digits, and how the number is said. A logarithm says nothing to a reader.
UNITS: dict[str, tuple[float, int, str, str] | None] = {
    "fraction": (100, 1, "{} %", "%{}"),
    "fraction per session": (100, 1, "{} % a day", "günlük %{}"),
    "logarithmic return per session": (100, 2, "{} % a day", "günlük %{}"),
    "fraction of the close per session": (100, 2, "{} % a day", "günlük %{}"),
    "share of sessions": (100, 0, "{} % of sessions", "seansların %{} kadarı"),
    "share of the window": (100, 0, "{} % of the window", "pencerenin %{} kadarı"),
    "share of all moves": (100, 0, "{} % of all moves", "tüm hareketlerin %{} kadarı"),
    "share of the variance": (100, 0, "{} %", "%{}"),
    "share of the range": (100, 0, "{} % of the range", "aralığın %{} kadarı"),
    "fraction of the open": (100, 1, "{} % of the open", "açılışın %{} kadarı"),
    "fraction of the close": (100, 1, "{} % of the close", "kapanışın %{} kadarı"),
    "fraction of the range": (100, 0, "{} % of the range", "aralığın %{} kadarı"),
    "multiple of the close": (1, 2, "{} times the close", "kapanışın {} katı"),
    "multiple of the volume": (1, 2, "{} times the volume", "hacmin {} katı"),
    "natural logarithm": None,
}
PLAIN_NUMBER = (1.0, 2, "{}", "{}")
