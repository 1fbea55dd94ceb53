// SPDX-License-Identifier: MIT OR Apache-2.0
// What a page can do beyond being read: search, zoom, keys, dragging. Everything that is to be known stands in it without.
"use strict";
(function () {
  const all = (root, what) => Array.from(root.querySelectorAll(what));
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const show = (element, block) => element.scrollIntoView({ block: block || "nearest", inline: "nearest", behavior: still.matches ? "auto" : "smooth" });

  /** One graph with its tools. */
  function graph(tools) {
    const view = document.getElementById(tools.dataset.view);
    const ground = view.querySelector(".rows");
    const rows = all(ground, "details.row");
    const field = tools.querySelector("input");
    const told = tools.querySelector("output");
    const button = (name) => tools.querySelector("[data-do=" + name + "]");
    const detail = document.createElement("p");
    detail.className = "detail";
    detail.hidden = true;
    view.append(detail);
    tools.hidden = false;

    // Zoom: the drawing grows in its box, and the box scrolls as any other.
    let zoom = 1;
    function setZoom(wanted, x, y) {
      const next = Math.min(4, Math.max(0.25, Math.round(wanted * 100) / 100));
      const box = view.getBoundingClientRect();
      const at = [x === undefined ? box.width / 2 : x - box.left, y === undefined ? box.height / 2 : y - box.top];
      const factor = next / zoom;
      const scroll = [(view.scrollLeft + at[0]) * factor - at[0], (view.scrollTop + at[1]) * factor - at[1]];
      zoom = next;
      ground.style.zoom = next;
      view.scrollLeft = scroll[0];
      view.scrollTop = scroll[1];
      const words = Math.round(next * 100) + "%";
      button("reset").textContent = words;
      button("reset").setAttribute("aria-label", "Zoom to 100%, now " + words);
    }

    // Search: in what each node says of itself.
    let hits = [];
    let now = -1;
    const lower = new Map();
    function words(item) {
      if (!lower.has(item)) lower.set(item, item.querySelector("title").textContent.toLowerCase());
      return lower.get(item);
    }
    const items = all(ground, ".v");
    function search() {
      const wanted = field.value.trim().toLowerCase();
      for (const hit of hits) hit.classList.remove("hit", "now");
      for (const row of rows) row.classList.remove("found");
      hits = wanted === "" ? [] : items.filter((item) => words(item).includes(wanted));
      // What is in no drawing may still be in the title of its row.
      const titles = wanted === "" ? [] : rows.filter((row) => row.querySelector("summary").textContent.toLowerCase().includes(wanted));
      for (const hit of hits) {
        hit.classList.add("hit");
        hit.closest("details").classList.add("found");
      }
      for (const row of titles) {
        row.classList.add("found");
        if (!hits.some((hit) => row.contains(hit))) hits.push(row);
      }
      hits.sort((a, b) => (a.compareDocumentPosition(b) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1));
      now = -1;
      told.textContent = wanted === "" ? "" : hits.length === 0 ? "no match" : hits.length + (hits.length === 1 ? " match" : " matches");
    }
    function step(by) {
      if (hits.length === 0) return;
      if (now >= 0) hits[now].classList.remove("now", "here");
      now = now < 0 && by < 0 ? hits.length - 1 : (now + by + hits.length) % hits.length;
      const hit = hits[now];
      const row = hit.closest("details");
      row.open = true;
      hit.classList.add(hit === row ? "here" : "now");
      tell(hit);
      show(hit === row ? row : hit, "center");
      told.textContent = now + 1 + " of " + hits.length;
    }

    function tell(item) {
      const title = item.querySelector ? item.querySelector(":scope > title") : null;
      detail.hidden = title === null;
      if (title !== null) detail.textContent = title.textContent;
    }

    function current() {
      const inside = document.activeElement && document.activeElement.closest("details.row");
      return inside && ground.contains(inside) ? rows.indexOf(inside) : -1;
    }
    function go(by) {
      const at = current();
      const next = rows[Math.min(rows.length - 1, Math.max(0, at < 0 ? 0 : at + by))];
      if (next) {
        next.querySelector("summary").focus({ preventScroll: true });
        show(next.querySelector("summary"));
      }
    }
    const openAll = (is) => rows.forEach((row) => { row.open = is; });

    const doing = {
      previous: () => step(-1),
      next: () => step(1),
      open: () => openAll(true),
      close: () => openAll(false),
      smaller: () => setZoom(zoom / 1.2),
      larger: () => setZoom(zoom * 1.2),
      reset: () => setZoom(1),
    };
    tools.addEventListener("click", (event) => {
      const what = event.target.closest("[data-do]");
      if (what) doing[what.dataset.do]();
    });
    field.addEventListener("input", search);
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter") {
        event.preventDefault();
        step(event.shiftKey ? -1 : 1);
      } else if (event.key === "Escape") {
        field.value = "";
        search();
      }
    });

    const keys = {
      "/": () => { field.focus(); field.select(); },
      j: () => go(1),
      k: () => go(-1),
      e: doing.open,
      c: doing.close,
      "+": doing.larger,
      "=": doing.larger,
      "-": doing.smaller,
      0: doing.reset,
    };
    view.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const node = event.target.closest(".v");
      if (node && ["ArrowDown", "ArrowUp", "ArrowRight", "ArrowLeft", "Home", "End"].includes(event.key)) {
        const among = all(node.closest("svg"), ".v");
        const at = among.indexOf(node);
        const to = { Home: 0, End: among.length - 1 }[event.key] ?? at + (event.key === "ArrowDown" || event.key === "ArrowRight" ? 1 : -1);
        const next = among[Math.min(among.length - 1, Math.max(0, to))];
        node.setAttribute("tabindex", "-1");
        next.setAttribute("tabindex", "0");
        next.focus();
        event.preventDefault();
        return;
      }
      const what = keys[event.key];
      if (what) {
        event.preventDefault();
        what();
      }
    });
    // One node of each drawing can be reached by Tab, the others from there by arrows.
    for (const net of all(ground, "svg.net")) {
      const first = net.querySelector(".v");
      if (first) first.setAttribute("tabindex", "0");
    }
    view.addEventListener("focusin", (event) => {
      const node = event.target.closest(".v");
      if (node) tell(node);
    });
    view.addEventListener("pointerover", (event) => {
      const item = event.target.closest(".v, .p");
      if (item) tell(item);
    });

    view.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      setZoom(zoom * Math.exp(-event.deltaY / 400), event.clientX, event.clientY);
    }, { passive: false });

    let from = null;
    view.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || event.pointerType !== "mouse" || event.target.closest("summary, .v, text, .detail, figcaption")) return;
      // A press on a scroll bar is not one on the ground.
      const box = view.getBoundingClientRect();
      if (event.clientX - box.left > view.clientWidth || event.clientY - box.top > view.clientHeight) return;
      from = [event.clientX, event.clientY, view.scrollLeft, view.scrollTop];
      view.setPointerCapture(event.pointerId);
      view.classList.add("grab");
    });
    view.addEventListener("pointermove", (event) => {
      if (from === null) return;
      view.scrollLeft = from[2] + from[0] - event.clientX;
      view.scrollTop = from[3] + from[1] - event.clientY;
    });
    for (const end of ["pointerup", "pointercancel"]) {
      view.addEventListener(end, () => {
        from = null;
        view.classList.remove("grab");
      });
    }
  }
  all(document, ".tools").forEach(graph);

  // A link to a row opens it.
  function arrive() {
    let id = "";
    try {
      id = decodeURIComponent(location.hash.slice(1));
    } catch {
      return;
    }
    const row = id === "" ? null : document.getElementById(id);
    if (row && row.matches("details")) {
      row.open = true;
      show(row, "center");
      row.querySelector("summary").focus({ preventScroll: true });
    }
  }
  addEventListener("hashchange", arrive);
  arrive();
})();
