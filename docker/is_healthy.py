"""Exit 0 if a URL answers 2xx, and, given a component, if the JSON there calls it healthy.

usage: is_healthy.py URL [COMPONENT]     for HEALTHCHECK; images have no curl
"""

import json
import sys
from urllib.request import urlopen

url, *component = sys.argv[1:]
try:
    with urlopen(url, timeout=4) as answer:  # noqa: S310 (whoever runs this chose the URL)
        body = answer.read()
except OSError as error:
    sys.exit(f"{url}: {error}")
for name in component:
    status = json.loads(body)[name]["status"]
    if status != "healthy":
        sys.exit(f"{name} is {status}")
