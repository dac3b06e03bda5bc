// What is wrong with how a page is laid out, as a list of sentences: it is wider than the screen, a text
// is cut off or beyond its edge, or lies over another one.
() => {
  const wrong = [];
  const wide = document.scrollingElement.scrollWidth;
  if (wide > innerWidth) wrong.push(`the page is ${wide} pixels wide, the screen ${innerWidth}`);
  const name = e => e.tagName.toLowerCase() + (e.id ? "#" + e.id : "") +
    (e.className && e.className.split ? "." + e.className.split(" ").join(".") : "");
  const hidden = e => e.closest(".skip, option, datalist, script, style, title, noscript") ||
    !e.checkVisibility({visibilityProperty: true}) || e.closest("thead") && e.closest("thead").getBoundingClientRect().right < 0;
  const rolls = e => { for (; e; e = e.parentElement) if (/auto|scroll/.test(getComputedStyle(e).overflowX)) return true; return false; };
  const boxes = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = texts.currentNode, parent = node.parentElement;
    if (!node.data.trim() || hidden(parent)) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) {
      if (box.width < 1 || box.height < 1) continue;
      if (!rolls(parent) && (box.left < -1 || box.right > innerWidth + 1))
        wrong.push(`${name(parent)} "${node.data.trim().slice(0, 40)}" is beyond the edge`);
      boxes.push({box, of: parent, text: node.data.trim().slice(0, 40)});
    }
  }
  for (const field of document.querySelectorAll("input:not([type=hidden]), select, textarea, svg text")) {
    const box = field.getBoundingClientRect();
    if (box.width < 1 || hidden(field)) continue;
    if (box.left < -1 || box.right > innerWidth + 1) wrong.push(`${name(field)} is beyond the edge`);
    if (field.tagName !== "text") boxes.push({box, of: field, text: ""});
  }
  for (const e of document.querySelectorAll("body *")) {
    const style = getComputedStyle(e);
    if (!hidden(e) && /hidden|clip/.test(style.overflowX) && e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0 &&
      !/^(INPUT|SELECT|TEXTAREA|svg|text)$/.test(e.tagName)) wrong.push(`${name(e)} is cut off`);
  }
  boxes.sort((a, b) => a.box.top - b.box.top);
  for (let i = 0; i < boxes.length; i++) {
    for (let j = i + 1; j < boxes.length && boxes[j].box.top < boxes[i].box.bottom - 2; j++) {
      const a = boxes[i], b = boxes[j];
      if (a.of === b.of || a.of.contains(b.of) || b.of.contains(a.of)) continue;
      const across = Math.min(a.box.right, b.box.right) - Math.max(a.box.left, b.box.left);
      const down = Math.min(a.box.bottom, b.box.bottom) - Math.max(a.box.top, b.box.top);
      if (across > 2 && down > 3) wrong.push(`${name(a.of)} "${a.text}" and ${name(b.of)} "${b.text}" lie over each other`);
    }
  }
  return [...new Set(wrong)].slice(0, 12);
}
