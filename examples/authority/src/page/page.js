"use strict";
// The page of whoever issues codes. It keeps nothing: what it was told is gone when it is closed.
const at = (id) => document.getElementById(id);
const texts = at("texts").dataset;
const open = new Map(); // handle -> { card, code, until }

async function ask(path, body) {
  const answer = await fetch(path, {
    method: body ? "POST" : "GET",
    headers: { "Authorization": "Bearer " + at("token").value.trim(), "Content-Type": "application/json" },
    body: body && JSON.stringify(body),
    cache: "no-store",
    credentials: "omit",
  });
  const json = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(json.error || "unavailable");
  return json;
}

function explain(error) {
  const known = texts["error_" + error.message];
  at("problem").textContent = known || texts.error_unavailable;
}

function show(entry, state) {
  entry.card.className = "card " + state;
  entry.card.querySelector(".state").textContent = texts["state_" + state];
  // A code that is over is of no use to anybody who looks at the screen.
  entry.card.querySelector(".code").textContent = state === "unused" ? entry.code : "";
  if (state !== "unused") entry.card.querySelector(".left").textContent = "";
}

function count() {
  for (const entry of open.values()) {
    const seconds = Math.max(0, Math.round((entry.until - Date.now()) / 1000));
    const two = (number) => String(number).padStart(2, "0");
    const time = Math.floor(seconds / 3600) + ":" + two(Math.floor(seconds / 60) % 60) + ":" + two(seconds % 60);
    entry.card.querySelector(".left").textContent = texts.left.replace("{}", time);
  }
}

async function look() {
  for (const [handle, entry] of open) {
    try {
      const { state } = await ask("/v1/codes/" + handle);
      if (state === "unused") continue;
      open.delete(handle);
      show(entry, state);
    } catch (error) {
      if (error.message === "handle_unknown") { open.delete(handle); show(entry, "expired"); }
      else explain(error);
    }
  }
}

at("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = at("form").querySelector("button");
  button.disabled = true;
  at("problem").textContent = "";
  try {
    const issued = await ask("/v1/codes", {
      report_type: at("report_type").value,
      test_date: at("test_date").value,
      onset: at("onset").value || null,
    });
    const card = at("card").content.firstElementChild.cloneNode(true);
    const entry = { card, code: issued.code, until: Date.now() + issued.seconds_left * 1000 };
    open.set(issued.handle, entry);
    show(entry, "unused");
    count();
    at("none").hidden = true;
    at("codes").prepend(card);
    card.scrollIntoView({ block: "nearest" });
  } catch (error) {
    explain(error);
  } finally {
    button.disabled = false;
  }
});

setInterval(count, 1000);
setInterval(look, 3000);
