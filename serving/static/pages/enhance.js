// What the pages do better with a script; without it they do the same by links and forms.

// The table of ranks follows what is typed, without loading the page again.
const form = document.querySelector("form[data-live]");

// Resolves to whether the table now is the one of this address; one that is overtaken by another is not.
async function follow(address) {
  follow.newest?.abort();
  const mine = (follow.newest = new AbortController());
  const live = document.querySelector("#ranking");
  try {
    const answer = await fetch(address, { signal: mine.signal, headers: { Accept: "text/html" } });
    if (!answer.ok) {
      location.assign(address);
      return false;
    }
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.querySelector("#ranking");
    // The form keeps its place and what is being typed; everything below it is replaced.
    live.querySelectorAll(":scope > :not(form)").forEach((part) => part.remove());
    live.append(...[...fresh.children].filter((part) => part.tagName !== "FORM"));
    live.querySelector(".found").innerHTML = fresh.querySelector(".found").innerHTML;
    history.replaceState(null, "", address);
    return true;
  } catch (error) {
    if (!mine.signal.aborted) live.querySelector(".found").textContent = form.dataset.unreached;
    return false;
  }
}

function addressOf(fields) {
  const wanted = new URLSearchParams([...new FormData(fields)].filter(([, value]) => value));
  return wanted.size ? `/?${wanted}` : "/";
}

if (form) {
  let pause;
  form.classList.add("is-live");
  form.addEventListener("input", () => {
    clearTimeout(pause);
    pause = setTimeout(() => follow(addressOf(form)), 150);
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    clearTimeout(pause);
    const isNew = await follow(addressOf(form));
    const found = document.querySelectorAll("#ranking tbody th.share a");
    if (isNew && found.length === 1 && form.elements.q.value) location.assign(found[0].href);
  });
}

// A pointer on the price chart reads the close below it.
for (const figure of document.querySelectorAll("figure[data-closes]")) {
  const closes = figure.dataset.closes.split(";").slice(0, -1).map((one) => one.split("|"));
  const canvas = figure.querySelector(".canvas");
  const drawing = figure.querySelector(".closes");
  const said = document.createElement("p");
  said.className = "reading";
  said.hidden = true;
  canvas.append(said);
  const make = (name) => drawing.appendChild(document.createElementNS("http://www.w3.org/2000/svg", name));
  const line = make("line");
  const dot = make("circle");
  const put = (part, places) => Object.entries(places).forEach(([name, value]) => part.setAttribute(name, value));
  put(line, { class: "pointer", y1: 0, y2: "100%" });
  put(dot, { class: "pointer", r: 4 });

  const show = (on) => {
    said.hidden = !on;
    line.classList.toggle("on", on);
    dot.classList.toggle("on", on);
  };
  drawing.addEventListener("pointermove", (event) => {
    const box = drawing.getBoundingClientRect();
    const share = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
    const place = Math.round(share * (closes.length - 1));
    const [day, close, height] = closes[place];
    const x = `${(100 * place) / (closes.length - 1)}%`;
    put(line, { x1: x, x2: x });
    put(dot, { cx: x, cy: `${height}%` });
    said.textContent = `${day}  ${close}`;
    show(true);
  });
  drawing.addEventListener("pointerleave", () => show(false));
}
