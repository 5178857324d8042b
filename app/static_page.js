// The lesson on one text: shows what was computed, by the view that is chosen. See static_runtime.js for what it uses.
if (typeof DecompressionStream === "undefined") {
  document.querySelector("main").prepend("This browser is too old to unpack the lesson; any of 2023 or later can.");
} else {
  unpack("packed-data").then(JSON.parse).then(({ parts, states }) => {
    parts.forEach(mount);
    show(states[""][""]);
    draw();
    for (const radio of document.querySelectorAll(".radio")) {
      radio.addEventListener("change", (event) => show(states[radio.id][event.target.value]));
    }
  });
}
