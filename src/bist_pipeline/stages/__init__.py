"""One file per stage; each is a function `stage(settings, session) -> Receipt`."""
