"use strict";
// Everything here is a convenience: the pages do the same without it.
document.documentElement.classList.add("scripted");
for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    const before = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = before; }, 1500);
  });
}
for (const input of document.querySelectorAll("input[data-filters]")) {
  const rows = [...document.querySelectorAll("#" + input.dataset.filters + " tbody tr")];
  input.addEventListener("input", () => {
    const want = input.value.toLowerCase();
    for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(want);
  });
}
// A form that is sent twice is answered once (it has an idempotency key); this spares the second try.
for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", () => setTimeout(() => {
    for (const button of form.querySelectorAll("button")) button.disabled = true;
  }));
}
window.addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("form[method=post] button")) button.disabled = false;
});
// What is under way is loaded again in place, so that the reader keeps the place and the focus.
const live = document.querySelector("[data-refresh]");
if (live) {
  const again = async () => {
    const answer = await fetch(location.href, {credentials: "same-origin"}).catch(() => null);
    if (!answer || !answer.ok || answer.redirected) return;
    const next = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-refresh]");
    if (!next) { location.reload(); return; }
    if (!live.contains(document.activeElement)) live.replaceChildren(...next.childNodes);
    setTimeout(again, 3000);
  };
  setTimeout(again, 3000);
}
