// element: this component's node · props.value: {data, layout, frames} · props.source: where plotly.js is · props.dark_of: light → dark colour
const scroll = element.querySelector(".plot-scroll");
const plot = element.querySelector(".plot");
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
function recolour(node) {
  if (typeof node === "string") return props.dark_of[node] ?? node;
  if (Array.isArray(node)) return node.map(recolour);
  if (node && typeof node === "object") return Object.fromEntries(Object.entries(node).map(([k, v]) => [k, recolour(v)]));
  return node;
}

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
    return;
  }
  if (!scroll.clientWidth) return; // hidden
  const meta = figure.layout.meta || {};
  const width = Math.max(scroll.clientWidth, meta.min_width || 0);
  const coloured = isDark() ? recolour(figure) : figure;
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
  drawnWidth = width;
  drawnDark = isDark();
}

watch("value", draw);
new ResizeObserver(() => { if (scroll.clientWidth && scroll.clientWidth !== drawnWidth) draw(); }).observe(scroll);
new MutationObserver(() => { if (drawnDark !== null && drawnDark !== isDark()) draw(); })
  .observe(document.body, { attributes: true, attributeFilter: ["class"] });
draw();
