(() => {
  const problems = [];
  const say = (what, node) => problems.push(what + ": " + (node.textContent || node.outerHTML || "").trim().slice(0, 60));
  const wide = document.documentElement.scrollWidth;
  if (wide > screen.width) problems.push("the page is " + wide + " wide, the screen " + screen.width);
  for (const e of document.querySelectorAll("body *")) {
    const r = e.getBoundingClientRect();
    if (r.width > 0 && !e.closest("svg") && !e.closest("thead") && (r.right > screen.width + 0.5 || r.left < -0.5)) say("reaches outside the screen", e);
  }

  // Contrast, as WCAG 2.2 computes it (1.4.3): 4.5, or 3 for large text.
  const parse = text => { const m = text.match(/rgba?\(([^)]+)\)/); if (!m) return null; const p = m[1].split(/[ ,/]+/).map(Number); return [p[0], p[1], p[2], p[3] === undefined ? 1 : p[3]]; };
  const light = c => { const f = v => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }; return 0.2126 * f(c[0]) + 0.7152 * f(c[1]) + 0.0722 * f(c[2]); };
  const paint = (e, x, y) => {
    for (const under of document.elementsFromPoint(x, y)) {
      const s = getComputedStyle(under);
      const c = under instanceof SVGGeometryElement ? parse(s.fill) : parse(s.backgroundColor);
      if (under.tagName !== "text" && under.tagName !== "line" && c && c[3] === 1) return c;
    }
    return [255, 255, 255, 1];
  };
  let texts = 0;
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let n = walk.nextNode(); n; n = walk.nextNode()) {
    const e = n.parentElement;
    if (!n.textContent.trim() || e.tagName === "title") continue;
    const range = document.createRange();
    range.selectNodeContents(n);
    const r = range.getClientRects()[0];
    const s = getComputedStyle(e);
    if (!r || r.width < 2 || r.height < 2 || s.visibility === "hidden" || e.closest("thead") && s.clipPath !== "none") continue;
    const ink = parse(e.closest("svg") ? s.fill : s.color);
    const ground = paint(e, r.left + r.width / 2, r.top + r.height / 2);
    const a = light(ink), b = light(ground);
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const size = parseFloat(s.fontSize), large = size >= 24 || size >= 18.66 && parseInt(s.fontWeight) >= 700;
    texts++;
    if (ratio < (large ? 3 : 4.5)) say("contrast " + ratio.toFixed(2), e);
    if (size < 11) say("letters of " + size + " px", e);
  }

  for (const svg of document.querySelectorAll("svg")) {
    if (getComputedStyle(svg).display === "none") continue;
    if (svg.getAttribute("role") !== "img" || !svg.getAttribute("aria-label")) say("a drawing without words", svg);
    const box = svg.viewBox.baseVal, placed = [];
    for (const text of svg.querySelectorAll("text")) {
      const outer = svg.getBoundingClientRect(), r = text.getBoundingClientRect();
      if (r.left < outer.left - 1 || r.right > outer.right + 1 || r.top < outer.top - 1 || r.bottom > outer.bottom + 1) say("a label outside its drawing", text);
      if (text.hasAttribute("transform")) continue;
      for (const other of placed) {
        const o = other.getBoundingClientRect();
        if (r.left < o.right - 1 && o.left < r.right - 1 && r.top < o.bottom - 3 && o.top < r.bottom - 3) say("labels over each other, " + other.textContent, text);
      }
      placed.push(text);
    }
  }

  let last = 0;
  for (const h of document.querySelectorAll("h1, h2, h3, h4")) {
    const level = Number(h.tagName[1]);
    if (level > last + 1) say("a heading skips a level", h);
    last = level;
  }
  if (document.querySelectorAll("h1").length !== 1) problems.push("not one h1");
  for (const tag of ["header", "main", "footer"]) if (document.querySelectorAll("body > " + tag).length !== 1) problems.push("not one " + tag);
  if (!document.documentElement.lang || !document.title) problems.push("no language, or no title");
  for (const th of document.querySelectorAll("th")) if (!th.scope) say("a heading of a table without scope", th);
  const ids = [...document.querySelectorAll("[id]")].map(e => e.id);
  if (new Set(ids).size !== ids.length) problems.push("an id twice");
  for (const e of document.querySelectorAll("[aria-labelledby]")) if (!document.getElementById(e.getAttribute("aria-labelledby"))) say("a label that is not there", e);
  return { problems, texts };
})()
