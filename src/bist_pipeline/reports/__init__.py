"""Reports for people: values in, one self-contained HTML page out. Nothing here computes or writes."""
