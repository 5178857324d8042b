// props.value: [[text, strong], …], strong being true, false or "code"
const box = element.querySelector(".takeaway");
function draw() {
  box.hidden = !(props.value && props.value.length);
  box.replaceChildren(...(props.value || []).map(([text, strong]) => {
    const run = document.createElement(strong === "code" ? "code" : strong ? "strong" : "span");
    run.textContent = text;
    return run;
  }));
}
watch("value", draw);
draw();
