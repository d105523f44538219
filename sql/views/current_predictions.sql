-- The batch that readers of the page see now: the newest session of the source that published last.
--
-- Read by people and their tools (a spreadsheet, a notebook, a BI tool) as the user `bist_api`. The API reads the
-- same rows by a statement of its own, src/bist_pipeline/store/read/batches.py, which adds filters and paging.
-- Returns are fractions over the universe median of the same session. Name and sector are null for a share that
-- the source does not describe.
SELECT
    publications.source,
    publications.session,
    publications.published_at,
    predictions.run_id,
    predictions.symbol,
    securities.name,
    securities.sector,
    predictions.rank,
    predictions.percentile,
    predictions.score,
    predictions.expected_excess_return,
    predictions.lower,
    predictions.upper,
    predictions.tradable,
    predictions.horizon_sessions,
    predictions.model_name,
    predictions.model_version
FROM publications
INNER JOIN predictions
    ON predictions.run_id = publications.run_id
LEFT JOIN securities
    ON securities.source = publications.source AND securities.symbol = predictions.symbol
WHERE publications.source = (
    SELECT newest.source FROM publications AS newest ORDER BY newest.published_at DESC LIMIT 1
)
AND publications.session = (
    SELECT MAX(same.session) FROM publications AS same WHERE same.source = publications.source
)
