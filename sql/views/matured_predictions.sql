-- Every published prediction whose horizon has passed, beside what came of it: the rows behind the scorecards.
--
-- Read by people and their tools (a spreadsheet, a notebook, a BI tool) as the user `bist_api`, to judge the ranks
-- for themselves. The pipeline judges by src/bist_pipeline/store/read/results.py, and keeps what it found in
-- `judged_sessions`. Returns are fractions over the universe median of the same session; `inside_interval` says
-- whether the result lies in the 80 % interval that was published.
SELECT
    publications.source,
    publications.session,
    realized_returns.matured_on,
    predictions.run_id,
    predictions.symbol,
    predictions.rank,
    predictions.score,
    predictions.tradable,
    predictions.horizon_sessions,
    predictions.expected_excess_return,
    predictions.lower,
    predictions.upper,
    realized_returns.excess_return AS realized_excess_return,
    realized_returns.excess_return BETWEEN predictions.lower AND predictions.upper AS inside_interval,
    predictions.model_name,
    predictions.model_version
FROM publications
INNER JOIN predictions
    ON predictions.run_id = publications.run_id
INNER JOIN realized_returns
    ON realized_returns.source = publications.source
    AND realized_returns.session = publications.session
    AND realized_returns.symbol = predictions.symbol
    AND realized_returns.horizon_sessions = predictions.horizon_sessions
