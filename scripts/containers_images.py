"""What must be true of the images and the compose file before anything is started."""

from __future__ import annotations

import json
from functools import partial

from containers_summary import Summary, expect
from containers_system import BASE_IMAGE, IMAGES, OURS, ROOT, ContainersError, System, version

# Run inside an image; what it prints is read by check_image.
INSIDE = """
import importlib.util, os, pathlib, shutil
from importlib.util import cache_from_source
heavy = ("pandas", "numpy", "lightgbm", "mlflow", "airflow", "alibi_detect")
held = [name for name in heavy if importlib.util.find_spec(name)]
sources = [p for p in pathlib.Path("/opt/venv/lib").rglob("*.py")]
compiled = sum(pathlib.Path(cache_from_source(str(p))).exists() for p in sources)
tools = [t for t in ("gcc", "cc", "pkg-config", "uv") if shutil.which(t)]
print(",".join(held), os.getuid(), len(sources), compiled, ",".join(tools), sep=";")
"""


def images(system: System, summary: Summary) -> None:
    """What is in the images, and what is not."""
    summary.step("every secret is required", lambda: check_secrets_required(system))
    system.make_secrets()
    summary.step("configuration and alert rules (promtool)", lambda: check_alert_rules(system))
    script = str(ROOT / "scripts/images.sh")
    summary.step("SBOM of each image (images.sh sbom)", lambda: system.do([script, "sbom"]))
    for name in OURS:
        summary.step(f"image {name}", partial(check_image, system, name))


def check_secrets_required(system: System) -> None:
    """Without .env nothing starts, and the message says what to do."""
    try:
        system.run([*system.compose, "config"])
    except ContainersError as error:
        expect("make secrets" in str(error), f"a missing secret is not explained: {error}")
    else:
        raise ContainersError("the compose file works without secrets")


def check_alert_rules(system: System) -> None:
    """Ask promtool, from the image of Prometheus."""
    mount = f"--volume={system.folder}/docker:/rules:ro"
    tool = [
        "podman",
        "run",
        "--rm",
        "--network=host",
        mount,
        "--entrypoint=promtool",
        IMAGES["PROMETHEUS_IMAGE"],
    ]
    system.run([*tool, "check", "config", "/rules/prometheus.yml"])


def check_image(system: System, name: str) -> str:
    """Not root, no build tools, bytecode, labels; the API's small and free of what it must not hold."""
    image = f"{IMAGES[f'{name.upper()}_IMAGE']}{version()}"
    about = json.loads(system.run(["podman", "image", "inspect", image]))[0]
    size, base = (
        int(system.run(["podman", "image", "inspect", one, "--format={{.Size}}"]))
        for one in (image, BASE_IMAGE)
    )
    labels = {
        key.rpartition(".")[2] for key in about["Labels"] if key.startswith("org.opencontainers.image.")
    }
    expect({"title", "version", "revision", "licenses"} <= labels, f"{name} has only the labels {labels}")
    expect(bool(about.get("Healthcheck")), f"{name} has no HEALTHCHECK")
    run = ["podman", "run", "--rm", "--read-only", "--network=none", "--entrypoint=python", image]
    held, user, sources, compiled, tools = system.run([*run, "-c", INSIDE]).strip().split(";")
    expect(user != "0", f"{name} runs as root")
    expect(not tools, f"{name} holds {tools}")
    share = int(compiled) / int(sources)
    expect(share > 0.98, f"{name} has bytecode of {share:.0%} of its files only")
    added = (size - base) / 1e6
    if name == "serving":
        expect(added <= 150, f"the API's image adds {added:.0f} MB to its base")
        expect(not held, f"the API's image holds {held}")
    sbom = json.loads((ROOT / f"var/images/sbom-{name}.json").read_text())
    packages = len(sbom["components"])
    expect(packages > 10, f"the SBOM of {name} lists {packages} packages")
    return (
        f"{added:.0f} MB over its base of {base / 1e6:.0f}, user {user}, "
        f"{share:.1%} of {sources} files compiled, {packages} packages in its SBOM"
    )
