"""The lake: Parquet data sets on any fsspec URL; every write makes a new version, whole or not at all.

A data set is a folder of Parquet files that never change, and one small file for each version that says which
of them count. A write adds what is new as one file first, and then claims the next number. A reader, or a
crash at any moment, sees the old or the new version; of two writers at once the second finds its number
taken, looks again, and adds to what the first wrote.

    prices/2020-01-02_2024-06-27.8f3a5c01.parquet     rows by session, then symbol
    prices/2024-06-28_2024-06-28.77c19be2.parquet     one more day
    prices/versions/00000002.json                     the highest number counts

A version is known by the hash of its content. Models and predictions carry it, and as long as the version is
kept, `read(…, version=…)` gives back the rows that they saw.
"""

from bist_pipeline.lake.content import content_hash
from bist_pipeline.lake.lake import Lake, open_lake
from bist_pipeline.lake.version import Version

__all__ = ["Lake", "Version", "content_hash", "open_lake"]
