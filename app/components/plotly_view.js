// element: this component's node · props.value: {data, layout, frames} · props.source: where plotly.js is · props.dark_of: light → dark colour
// props.still_width: of a saved picture
const scroll = element.querySelector(".plot-scroll");
const plot = element.querySelector(".plot");
const saving = element.querySelector(".save-figure");
const root = (window.gradio_config && window.gradio_config.root) || "";

// One copy of plotly.js a page; our own reference, because gr.Plot overwrites window.Plotly.
window.gpt2clsPlotly ??= new Promise((resolve, reject) => {
  const script = document.createElement("script");
  script.src = root + props.source;
  script.onload = () => resolve(window.Plotly);
  script.onerror = () => reject(new Error("plotly.js could not be loaded"));
  document.head.appendChild(script);
});

const isDark = () => document.body.classList.contains("dark");
const lightOf = Object.fromEntries(Object.entries(props.dark_of).map(([light, dark]) => [dark, light]));
function recolour(node, colours) {
  if (typeof node === "string") return colours[node] ?? node;
  if (Array.isArray(node)) return node.map((each) => recolour(each, colours));
  if (ArrayBuffer.isView(node) || !node || typeof node !== "object") return node;
  return Object.fromEntries(Object.entries(node).map(([k, v]) => [k, recolour(v, colours)]));
}

let drawn = null; // the figure that is seen
let drawnWidth = 0;
let drawnFromTheRight = false;
let drawnDark = null;
async function draw() {
  const figure = props.value;
  const Plotly = await window.gpt2clsPlotly;
  if (figure !== props.value) return; // a newer figure is on its way
  if (!figure || !figure.layout) { // purged, because Plotly would go on with nodes that are gone
    if (plot.data) Plotly.purge(plot);
    plot.removeAttribute("aria-label");
    saving.hidden = true;
    drawn = figure;
    return;
  }
  if (!scroll.clientWidth) return; // hidden: drawn when it is shown
  const meta = figure.layout.meta || {};
  const width = Math.max(scroll.clientWidth, meta.min_width || 0);
  const coloured = isDark() ? recolour(figure, props.dark_of) : figure;
  const layout = { ...coloured.layout, width, autosize: false };
  const first = !plot.data;
  if (plot._transitionData?._frames?.length) await Plotly.animate(plot, [], { mode: "immediate" }); // what still plays is old
  await Plotly.react(plot, structuredClone(coloured.data), structuredClone(layout), {
    displayModeBar: false, displaylogo: false, showSendToCloud: false, responsive: false, scrollZoom: false, doubleClick: false,
    _baseUrl: "", // or colours and clips are looked up by the page's first address, and lost when it changes
  });
  // Plotly.react takes no frames: the old ones go, the figure's own come.
  if (plot._transitionData?._frames?.length) await Plotly.deleteFrames(plot);
  if (figure.frames?.length) await Plotly.addFrames(plot, structuredClone(coloured.frames));
  plot.setAttribute("aria-label", meta.alt || "");
  if (first) plot.on("plotly_click", (event) => {
    const point = event.points[0];
    trigger("point_click", { x: point.x, y: point.y, customdata: point.customdata });
  });
  const fromTheRight = Boolean(meta.from_the_right);
  if (fromTheRight && (drawnWidth !== width || !drawnFromTheRight)) scroll.scrollLeft = scroll.scrollWidth;
  drawnFromTheRight = fromTheRight;
  drawn = figure;
  drawnWidth = width;
  drawnDark = isDark();
  saving.hidden = false;
}

// The picture as it stands, by chapter and view, for a slide: in light colours, on a ground, without slider and play button (stills.py).
async function save(format) {
  const Plotly = await window.gpt2clsPlotly;
  const shown = structuredClone({ data: plot.data, layout: plot.layout });
  const { data, layout } = drawnDark ? recolour(shown, lightOf) : shown;
  const { min_width = 0, controls = 0 } = layout.meta;
  const size = { width: Math.max(props.still_width, min_width), height: layout.height - controls };
  const margin = { ...layout.margin, b: layout.margin.b - controls };
  const chapter = element.closest(".chapter").id.replace("chapter-", "");
  const view = document.querySelector(`#${chapter}-view input:checked`)?.value;
  await Plotly.downloadImage(
    { data, layout: { ...layout, ...size, margin, paper_bgcolor: props.ground, sliders: [], updatemenus: [] } },
    { format, ...size, scale: 2, filename: [chapter, view].filter(Boolean).join("-") },
  );
}
for (const button of saving.querySelectorAll("button")) button.onclick = () => save(button.dataset.format);

watch("value", draw);
new ResizeObserver(() => { if (scroll.clientWidth && (scroll.clientWidth !== drawnWidth || drawn !== props.value)) draw(); }).observe(scroll);
new MutationObserver(() => { if (drawnDark !== null && drawnDark !== isDark()) draw(); })
  .observe(document.body, { attributes: true, attributeFilter: ["class"] });
draw();
