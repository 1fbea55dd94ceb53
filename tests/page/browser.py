"""Opens pages of `onnx-rm ... --report` in a real browser: clicks, types, reads."""

import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "models"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# Text against what is painted behind it (WCAG 2, success criterion 1.4.3), of HTML that is shown.
CONTRAST = """() => {
  const parse = (c) => { const m = c.match(/[\\d.]+/g).map(Number); return m.length < 4 ? [...m, 1] : m; };
  const light = ([r, g, b]) => { const f = (v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
    return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
  const ground = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c[3] === 1) return c; }
    return [255, 255, 255, 1]; };
  const bad = [];
  for (const e of document.querySelectorAll("body *:not(script):not(style)")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim() !== "");
    if (!own || e.closest("svg") || e.getClientRects().length === 0) continue;
    const s = getComputedStyle(e);
    const [a, b] = [light(parse(s.color)), light(ground(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const size = parseFloat(s.fontSize);
    const least = size >= 24 || (size >= 18.66 && Number(s.fontWeight) >= 700) ? 3 : 4.5;
    if (ratio < least) bad.push(`${e.tagName}.${e.className} ${ratio.toFixed(2)} '${e.textContent.trim().slice(0, 40)}'`);
  }
  return bad;
}"""

# Text of the drawings against the box in which it stands, and whether it fits.
DRAWN = """() => [...document.querySelectorAll(".row[open] .v")].filter((v) => {
  const box = v.querySelector("rect").getBoundingClientRect();
  return [...v.querySelectorAll("text")].some((t) => t.getBoundingClientRect().right > box.right + 1);
}).map((v) => v.querySelector("title").textContent)"""


def deep(path: Path, blocks: int) -> None:
    """Write a network of so many bottlenecks."""
    rng = np.random.default_rng(0)
    nodes, weights = [], []

    def conv(name: str, x: str, out: int, inp: int, size: int) -> str:
        w = (rng.standard_normal((out, inp, size, size)) * (2 / (inp * size * size)) ** 0.5).astype(np.float32)
        weights.append(numpy_helper.from_array(w, f"{name}.weight"))
        nodes.append(helper.make_node("Conv", [x, f"{name}.weight"], [f"{name}_out"], name, pads=[size // 2] * 4))
        return f"{name}_out"

    def relu(name: str, x: str) -> str:
        nodes.append(helper.make_node("Relu", [x], [f"{name}_out"], name))
        return f"{name}_out"

    x = relu("/stem/relu", conv("/stem/conv", "input", 16, 3, 3))
    for at in range(blocks):
        b = f"/layer{at // 10 + 1}/block{at}"
        y = relu(f"{b}/relu1", conv(f"{b}/conv1", x, 8, 16, 1))
        y = relu(f"{b}/relu2", conv(f"{b}/conv2", y, 8, 8, 3))
        y = conv(f"{b}/conv3", y, 16, 8, 1)
        nodes.append(helper.make_node("Add", [y, x], [f"{b}/add_out"], f"{b}/add"))
        x = relu(f"{b}/relu3", f"{b}/add_out")
    nodes.append(helper.make_node("GlobalAveragePool", [x], ["output"], "/pool"))
    shape = lambda n, s: helper.make_tensor_value_info(n, TensorProto.FLOAT, s)  # noqa: E731
    graph = helper.make_graph(nodes, "deep", [shape("input", [1, 3, 8, 8])], [shape("output", [1, 16, 1, 1])], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def hostile(path: Path) -> None:
    """Write a network with names that would run, if they were not names."""
    model = onnx.load(MODELS / "digits_resnet.onnx")
    bad = "</title></script><script>alert(1)</script><img src=x onerror=alert(1)>\" onfocus='alert(1)' "
    graph = model.graph
    for node in graph.node:
        node.name = bad + node.name
        node.input[:] = [bad + n if n else n for n in node.input]
        node.output[:] = [bad + n for n in node.output]
    for named in [*graph.initializer, *graph.input, *graph.output]:
        named.name = bad + named.name
    del graph.value_info[:]
    onnx.save(model, path)


class Browser:
    """Opens pages, each in a profile of its own, and hears of everything that goes wrong on them."""

    def __init__(self, chromium, program: str, browser: str, folder: Path, shots: str) -> None:
        self.chromium, self.program, self.browser, self.folder, self.shots = chromium, program, browser, folder, shots
        self.checks = 0

    def report(self, name: str, code: int, *arguments: str) -> Path:
        path = self.folder / f"{name}.html"
        run = subprocess.run([self.program, *arguments, "--report", path], cwd=self.folder, capture_output=True, text=True)
        assert run.returncode == code, (arguments, run.returncode, run.stderr)
        return path

    @contextmanager
    def open(self, path: Path, **settings):
        wrong: list[str] = []
        with tempfile.TemporaryDirectory() as profile:
            context = self.chromium.launch_persistent_context(
                profile, executable_path=self.browser, headless=True, args=FLAGS, viewport={"width": 1360, "height": 900}, **settings
            )
            page = context.pages[0]
            page.on("console", lambda m: wrong.append(f"console {m.type}: {m.text}"))
            page.on("pageerror", lambda e: wrong.append(f"error: {e}"))
            page.on("dialog", lambda d: (wrong.append(f"dialog: {d.message}"), d.dismiss()))
            page.on("request", lambda r: None if r.url.split("#")[0] == path.as_uri() else wrong.append(f"request: {r.url}"))
            page.goto(path.as_uri())
            yield page
            context.close()
        assert not wrong, (path.name, wrong)

    def shot(self, page, name: str, **how) -> None:
        if self.shots:
            page.wait_for_timeout(400)
            page.screenshot(path=str(Path(self.shots) / f"{name}.png"), **how)

    def hold(self, condition: object, what: str) -> None:
        self.checks += 1
        assert condition, what

    def everything_has_a_name(self, page) -> None:
        """What the browser tells a screen reader: whatever can be used, or stands for something, has a name."""
        client = page.context.new_cdp_session(page)
        nodes = client.send("Accessibility.getFullAXTree")["nodes"]
        roles = {"button", "link", "textbox", "searchbox", "DisclosureTriangle", "region", "navigation", "image", "img", "group", "table", "article"}
        seen, nameless = 0, []
        for node in nodes:
            role = node.get("role", {}).get("value")
            if node.get("ignored") or role not in roles:
                continue
            properties = {p["name"]: p["value"].get("value") for p in node.get("properties", [])}
            if role == "group" and not properties.get("focusable"):
                continue
            seen += 1
            if not node.get("name", {}).get("value", "").strip():
                nameless.append((role, node.get("backendDOMNodeId")))
        self.hold(seen > 10, f"only {seen} elements can be used")
        self.hold(not nameless, f"without a name: {nameless}")
        levels = [int(level) for level in page.eval_on_selector_all("h1,h2,h3,h4", "all => all.map(h => h.tagName[1])")]
        self.hold(levels[0] == 1 and all(b <= a + 1 for a, b in zip(levels, levels[1:])), f"headings skip a level: {levels}")


def used_by_mouse(b: Browser, path: Path) -> None:
    with b.open(path, color_scheme="light") as page:
        b.shot(page, "deep-top")
        rows = page.locator("details.row")
        b.hold(rows.count() >= 51, f"{rows.count()} rows of 50 blocks")
        b.hold(page.locator("details.row.changed").count() == 50, "each block is a row")
        b.hold(page.locator("details.row[open]").count() == 0, "many rows are closed at first")
        row = page.locator("details.row.changed").nth(6)
        b.hold("/block6/add" in row.locator("summary").inner_text(), "rows have the names of their joins")
        b.hold("MACs" in row.locator("summary").inner_text(), "and their price")
        row.locator("summary").click()
        b.hold(row.locator("svg.net").count() == 2, "both sides are drawn")
        before, after = row.locator("figcaption").all_inner_texts()
        b.hold("1 skip" in before and "no skip" in after, f"{before}; {after}")
        b.hold("carried" in row.locator("svg.net").nth(1).text_content(), "carried channels are said")
        row.locator(".v").first.hover()
        b.hold("Conv" in page.locator(".detail").inner_text(), "a node tells of itself")
        row.scroll_into_view_if_needed()
        page.locator("#graph").evaluate("e => e.scrollIntoView()")
        b.shot(page, "deep-row")
        row.locator("summary").click()
        # Search.
        field = page.get_by_label("Search")
        field.fill("block42/conv2")
        b.hold("match" in page.locator(".tools output").inner_text(), "matches are counted")
        page.get_by_role("button", name="Next match").click()
        b.hold(page.locator(".v.now").count() == 1, "a match is marked")
        b.hold("block42" in page.locator(".v.now title").text_content(), "and is what was looked for")
        b.hold(page.locator(".v.now").is_visible() and page.locator("details.row[open]").count() == 1, "its row is open")
        b.shot(page, "deep-search")
        field.fill("no such node")
        b.hold(page.locator(".tools output").inner_text() == "no match", "what is not there is said")
        field.press("Escape")
        b.hold(field.input_value() == "" and page.locator(".v.hit").count() == 0, "Escape ends a search")
        # Zoom and drag.
        page.get_by_role("button", name="Collapse all").click()
        page.get_by_role("button", name="Zoom in").click()
        b.hold(page.get_by_role("button", name="Zoom to 100%").inner_text() == "120%", "zoomed")
        view = page.locator("#view")
        view.scroll_into_view_if_needed()
        box = view.bounding_box()
        page.mouse.move(box["x"] + 6, box["y"] + 300)
        page.mouse.down()
        page.mouse.move(box["x"] + 6, box["y"] + 100, steps=4)
        page.mouse.up()
        b.hold(view.evaluate("v => v.scrollTop") > 150, "dragging moves the graph")
        page.keyboard.down("Control")
        page.mouse.wheel(0, 400)
        page.keyboard.up("Control")
        page.wait_for_timeout(100)
        b.hold(int(page.get_by_role("button", name="Zoom to 100%").inner_text()[:-1]) < 100, "Ctrl and the wheel zoom")
        page.get_by_role("button", name="Zoom to 100%").click()
        page.get_by_role("button", name="Expand all").click()
        b.hold(page.locator("details.row:not([open])").count() == 0, "all open")
        late = page.evaluate(DRAWN)
        b.hold(not late, f"text leaves its box: {late[:3]}")
        # From a table to the graph.
        page.get_by_role("button", name="Collapse all").click()
        page.locator("#price th.name a").nth(20).click()
        page.wait_for_timeout(100)
        b.hold(page.locator("details.row[open]").count() == 1, "a link opens the row of its site")
        b.hold(page.evaluate("document.activeElement.closest('details.row') !== null"), "and goes there")
        # The curve.
        curve = page.locator("#price svg.chart").first
        b.hold("50 joins left" in curve.get_attribute("aria-label"), "the curve is described")
        b.hold(curve.locator("circle").count() == 51, "a point a join")
        page.locator("#price").evaluate("e => e.scrollIntoView()")
        b.shot(page, "deep-price")


def used_by_keyboard(b: Browser, path: Path) -> None:
    with b.open(path, color_scheme="dark", reduced_motion="reduce") as page:
        b.hold(page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto", "nothing moves by itself")
        page.keyboard.press("Tab")
        b.hold(page.evaluate("document.activeElement.textContent") == "Skip to the report", "first a way past the head")
        page.keyboard.press("Enter")
        for _ in range(12):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.id") == "view":
                break
        b.hold(page.evaluate("document.activeElement.id") == "view", "the graph is reached by Tab")
        b.hold(page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid", "and the focus is seen")
        label = page.get_by_role("button", name="Zoom to 100%")
        for key, words in [("+", "120%"), ("+", "144%"), ("-", "120%"), ("0", "100%")]:
            page.keyboard.press(key)
            b.hold(label.inner_text() == words, f"{key}: {label.inner_text()}")
        for key in ("PageDown", "ArrowDown"):
            before = page.evaluate("document.activeElement.scrollTop")
            page.keyboard.press(key)
            # However long it takes: machines are busy.
            page.wait_for_function("before => document.activeElement.scrollTop > before", arg=before, timeout=20_000)
            b.hold(page.evaluate("document.activeElement.scrollTop") > before, f"{key} moves the graph")
        page.keyboard.press("e")
        b.hold(page.locator("details.row:not([open])").count() == 0, "e opens all")
        page.keyboard.press("c")
        b.hold(page.locator("details.row[open]").count() == 0, "c closes all")
        page.keyboard.press("j")
        page.keyboard.press("j")
        b.hold(page.evaluate("document.activeElement.closest('details').id") == "row-1", "j goes on")
        page.keyboard.press("k")
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        b.hold(page.locator("#row-1[open]").count() == 1, "Enter opens a row")
        page.keyboard.press("Tab")
        first = page.evaluate("document.activeElement.querySelector('title').textContent")
        page.keyboard.press("ArrowDown")
        second = page.evaluate("document.activeElement.querySelector('title').textContent")
        b.hold("Conv" in first and "Relu" in second, f"{first}; {second}")
        b.hold(page.locator(".detail").inner_text() == second, "the node in focus tells of itself")
        b.shot(page, "deep-dark")
        page.keyboard.press("/")
        b.hold(page.evaluate("document.activeElement.type") == "search", "/ searches")
        page.keyboard.type("block3/")
        page.keyboard.press("Enter")
        page.keyboard.press("Enter")
        b.hold(page.locator(".tools output").inner_text().startswith("2 of "), "Enter goes from match to match")
        page.keyboard.press("Shift+Enter")
        b.hold(page.locator(".tools output").inner_text().startswith("1 of "), "and back")


def looked_at(b: Browser, pages: dict[str, Path]) -> None:
    """Every page, light and dark: names, contrast; without the script; on paper."""
    for name, path in pages.items():
        grounds = set()
        for scheme in ("light", "dark"):
            with b.open(path, color_scheme=scheme) as page:
                grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
                page.evaluate("document.querySelectorAll('details').forEach((d, at) => { d.open = at < 60; })")
                bad = page.evaluate(CONTRAST)
                b.hold(not bad, f"{name}, {scheme}: {bad[:5]}")
                wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
                b.hold(wide <= 0, f"{name} is {wide} pixels too wide")
                if scheme == "light":
                    b.everything_has_a_name(page)
                b.shot(page, f"{name}-{scheme}", full_page=True)
                if scheme == "light":
                    page.emulate_media(media="print")
                    b.hold(not page.locator(".tools").first.is_visible(), "paper has no tools")
                    b.hold(page.evaluate("getComputedStyle(document.querySelector('.viewport')).overflow") == "visible", "and no scroll bars")
                    b.hold(len(page.pdf()) > 10_000, "it prints")
                    page.emulate_media(media="screen")
                    page.set_viewport_size({"width": 420, "height": 800})
                    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
                    b.hold(wide <= 0, f"{name} is {wide} pixels too wide for a telephone")
        b.hold(len(grounds) == 2, "light and dark differ")
        with b.open(path, java_script_enabled=False) as page:
            b.hold(not page.locator(".tools").first.is_visible(), "tools that do nothing are not shown")
            first = page.locator("details.row:not([open])").first.get_attribute("id")
            row = page.locator(f"#{first}")
            row.locator("summary").click()
            b.hold(row.locator("svg.net").first.is_visible(), "rows open without the script")


def main() -> None:
    program, browser, shots = sys.argv[1:4]
    program = str(Path(program).resolve())
    if shots:
        Path(shots).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        b = Browser(playwright.chromium, program, browser, Path(folder), shots)
        deep(b.folder / "deep.onnx", 50)
        hostile(b.folder / "hostile.onnx")
        resnet, kept = str(MODELS / "digits_resnet.onnx"), str(MODELS / "blocks/max_pool_shortcut.legacy.onnx")
        other = str(MODELS / "digits_mobilenet_v2.onnx")
        path = b.report("deep", 0, "inspect", "deep.onnx", "--quiet")
        used_by_mouse(b, path)
        used_by_keyboard(b, path)
        pages = {
            "deep": path,
            "rewrite": b.report("rewrite", 0, "rewrite", resnet, "out.onnx", "--quiet"),
            "refused": b.report("refused", 1, "rewrite", kept, "kept.onnx", "--require", "--quiet"),
            "verify": b.report("verify", 0, "verify", resnet, "out.onnx", "--quiet"),
            "differ": b.report("differ", 1, "verify", resnet, other, "--quiet"),
            "check": b.report("check", 1, "check", resnet, kept, other, "--quiet"),
            "hostile": b.report("hostile", 0, "inspect", "hostile.onnx", "--quiet"),
        }
        looked_at(b, pages)
        print(f"{b.checks} checks of {len(pages)} pages hold in {Path(browser).name}")


if __name__ == "__main__":
    main()
