// What a screen reader or poor eyes would stumble over in the page that is open, one sentence each.
() => {
  const found = [];
  const all = (selector) => [...document.querySelectorAll(selector)];
  const isShown = (part) => part.getClientRects().length > 0 && getComputedStyle(part).visibility !== "hidden";
  const nameOf = (part) =>
    (part.getAttribute("aria-label") || part.labels?.[0]?.innerText || part.innerText || "").trim();

  if (all("h1").length !== 1) found.push("not exactly one h1");
  if (all("main").length !== 1 || !all("header").length || !all("footer").length) found.push("a landmark is missing");
  if (!["tr", "en"].includes(document.documentElement.lang)) found.push("no language");
  const levels = all("h1, h2, h3").filter(isShown).map((head) => Number(head.tagName[1]));
  levels.forEach((level, i) => i && level > levels[i - 1] + 1 && found.push(`h${level} after h${levels[i - 1]}`));
  all("input:not([type=hidden]), select, button, a").forEach((part) => nameOf(part) || found.push(`nameless ${part.outerHTML.slice(0, 80)}`));
  all("nav").forEach((nav) => nav.getAttribute("aria-label") || found.push("a nav without a name"));
  all("section").forEach((one) => one.ariaLabel || document.getElementById(one.getAttribute("aria-labelledby")) || found.push("a section without a name"));
  all("table").forEach((table) => table.caption?.textContent.trim() || found.push("a table without a caption"));
  all("th").forEach((head) => head.scope || found.push(`a th without scope: ${head.textContent}`));
  all("svg").filter((svg) => !svg.parentElement.closest("svg")).forEach((svg) => svg.ariaHidden === "true" || svg.getAttribute("aria-labelledby") || found.push("a drawing neither named nor hidden"));
  const ids = all("[id]").map((part) => part.id);
  ids.filter((id, i) => ids.indexOf(id) !== i).forEach((id) => found.push(`id ${id} twice`));
  // Whoever moves by keyboard must see where they are; what only shows then does show.
  all("a[href], button, input, select, summary, [tabindex='0']").filter(isShown).forEach((part) => {
    part.focus();
    const { width, height } = part.getBoundingClientRect();
    const isClipped = getComputedStyle(part).clipPath !== "none" || width < 8 || height < 8;
    if (isClipped) found.push(`focus goes unseen to ${part.outerHTML.slice(0, 80)}`);
    part.blur();
  });
  all("[style]").forEach(() => found.push("an inline style"));

  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const seen = new Map();
  const rgba = (color) => seen.get(color) ?? seen.set(color, paint(color)).get(color);
  const paint = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const behind = (part) => {
    for (let at = part; at; at = at.parentElement) {
      const color = rgba(getComputedStyle(at).backgroundColor);
      if (color[3] === 255) return color;
    }
    return [255, 255, 255, 255];
  };
  const luminance = (color) =>
    color.slice(0, 3).map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
      .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const checked = new Set();
  for (let text = texts.nextNode(); text; text = texts.nextNode()) {
    const part = text.parentElement;
    if (!text.data.trim() || checked.has(part) || !isShown(part) || part.closest("title, .unseen, .skip")) continue;
    checked.add(part);
    const style = getComputedStyle(part);
    const ink = rgba(part instanceof SVGElement ? style.fill : style.color);
    const [light, dark] = [luminance(ink), luminance(behind(part))].sort((a, b) => b - a);
    const size = parseFloat(style.fontSize);
    const needed = size >= 24 || (size >= 18.66 && style.fontWeight >= 600) ? 3 : 4.5;
    const contrast = (light + 0.05) / (dark + 0.05);
    if (contrast < needed) found.push(`contrast ${contrast.toFixed(2)} of “${text.data.trim().slice(0, 40)}”`);
  }
  if (checked.size < 10) found.push("hardly any text was checked");
  return found;
}
