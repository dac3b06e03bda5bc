"use strict";
// Everything here is a convenience: the pages do the same without it.
document.documentElement.classList.add("scripted");
// Of the whole page, since parts of it are loaded again.
document.addEventListener("click", async event => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(button.dataset.copy);
  button.dataset.says ??= button.textContent;
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = button.dataset.says; }, 1500);
});
for (const input of document.querySelectorAll("input[data-filters]")) {
  const rows = [...document.querySelectorAll("#" + input.dataset.filters + "-table tbody tr")];
  input.addEventListener("input", () => {
    const want = input.value.toLowerCase();
    for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(want);
  });
}
// What is chosen in a list stays where the list is; what the search has hidden is not chosen along.
for (const link of document.querySelectorAll("a[data-chooses]")) {
  link.addEventListener("click", event => {
    event.preventDefault();
    const shown = [...link.closest("form").querySelectorAll("tbody tr:not([hidden]) input[name=chosen]")];
    const all = shown.some(box => !box.checked);
    for (const box of shown) box.checked = all;
    [link.textContent, link.dataset.chooses] = [link.dataset.chooses, link.textContent];
  });
}
// The answer to a form may take half a minute: its button says so. One that is sent twice is answered once (it
// has an idempotency key); this spares the second try.
let sending = false;
document.addEventListener("submit", event => {
  const form = event.target, pressed = event.submitter;
  if (!form.matches("form[method=post]")) return;
  sending = true;
  setTimeout(() => { // once its fields are on the way: a button that is disabled sends no value
    for (const button of form.querySelectorAll("button")) button.disabled = true;
    if (!pressed) return;
    pressed.dataset.says ??= pressed.textContent;
    pressed.textContent = "Working…";
  });
});
// A check shows its result in the page as it is: a page that is loaded anew has nothing secret in its fields.
for (const button of document.querySelectorAll("button[data-check]")) {
  button.addEventListener("click", async event => {
    event.preventDefault();
    const text = button.textContent;
    button.disabled = true;
    button.textContent = "Checking";
    const answer = await fetch(button.formAction, {method: "POST", credentials: "same-origin", body: new FormData(button.form)})
      .then(got => got.text()).catch(() => "");
    button.disabled = false;
    button.textContent = text;
    const next = new DOMParser().parseFromString(answer, "text/html");
    if (next.getElementById("checked")) {
      for (const old of document.querySelectorAll("[data-checked]")) {
        const part = next.getElementById(old.id);
        if (part) old.replaceChildren(...part.childNodes);
      }
      for (const note of document.querySelectorAll(".again")) note.remove();
    } else { // it was not let through: what was entered stays
      const note = document.createElement("p");
      note.className = "field-error";
      note.textContent = next.getElementById("message")?.textContent || "Rekey did not answer. Try again in a minute.";
      document.getElementById("checked").replaceChildren(note);
    }
    document.getElementById("checked").scrollIntoView({block: "nearest"});
  });
}
window.addEventListener("pageshow", () => { // also where one comes back to the page
  sending = false;
  for (const button of document.querySelectorAll("form[method=post] button")) {
    button.disabled = false;
    button.textContent = button.dataset.says ?? button.textContent;
  }
});
// What a button has done is told once: a reload, or a link that is copied, tells nothing.
const address = new URL(location.href);
if (address.searchParams.has("done")) {
  address.searchParams.delete("done");
  history.replaceState(null, "", address);
}
// What is under way is loaded again in place, so that the reader keeps the place and the focus. A
// refusal may pass; a redirect, or that it is gone, is the page's to show. While a form is being sent
// the page stays as it is: to load it again would be to leave the answer.
const live = document.querySelector("[data-refresh]");
if (live) {
  const again = async () => {
    const answer = sending ? null : await fetch(location.href, {credentials: "same-origin"}).catch(() => null);
    if (sending) { setTimeout(again, 3000); return; }
    if (answer && (answer.redirected || answer.status === 404)) { location.reload(); return; }
    if (!answer || !answer.ok) { setTimeout(again, 10000); return; }
    const next = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-refresh]");
    if (sending) { setTimeout(again, 3000); return; }
    if (!next) { location.reload(); return; }
    const held = live.contains(document.activeElement) && document.activeElement.textContent;
    live.replaceChildren(...next.childNodes);
    if (held) [...live.querySelectorAll("a, button")].find(e => e.textContent === held)?.focus({preventScroll: true});
    setTimeout(again, 3000);
  };
  setTimeout(again, 3000);
}
