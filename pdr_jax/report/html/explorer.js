// The explorer of clips: what is shown, and what keys, sliders and the mouse change.
(() => {
  const report = JSON.parse(document.getElementById("data").textContent);
  const element = (id) => document.getElementById(id);
  const make = (tag, properties = {}) => Object.assign(document.createElement(tag), properties);
  const [height, width] = report.size;
  const several = report.runs.length > 1;
  const stage = element("stage");
  const state = { clip: null, arrays: {}, time: 1, wipe: 50, view: null };
  state.left = several ? "0/prediction" : "truth";
  state.right = several ? "1/prediction" : "0/prediction";
  const frames = new Map(); // canvases of the open clip's frames, as they are asked for

  // A layer is "truth" or "RUN/KIND"; the error is made here, from prediction and truth.
  const runOf = (layer) => Number(layer.split("/")[0]);
  const kindOf = (layer) => layer.split("/").at(-1);
  const layersOf = (run) =>
    ["coarse", "rendered", "prediction", "error"]
      .filter((kind) => kind === "error" || `${run}/${kind}` in state.arrays)
      .map((kind) => `${run}/${kind}`);
  const named = (layer) =>
    several && layer !== "truth" ? `${report.runs[runOf(layer)]}: ${kindOf(layer)}` : kindOf(layer);

  // Before the first predicted frame every layer shows the observed one.
  const captioned = (layer, name) => (state.time > 0 || kindOf(layer) === "error" ? name : "observed");

  function codesOf(name, index) {
    const { codes, shape } = state.arrays[name];
    const size = shape[1] * shape[2] * shape[3];
    return codes.subarray(index * size, (index + 1) * size);
  }

  // The canvas of a layer at the present time; there is no error of observed frames.
  function frameOf(layer) {
    const { observed, index } = frameAt(state.time, report.inputs);
    const isError = kindOf(layer) === "error";
    if (observed && isError) return null;
    const name = observed ? "inputs" : layer;
    const key = `${name} ${index}`;
    if (!frames.has(key)) {
      const shape = state.arrays.truth.shape;
      const [codes, channels, colours] = isError
        ? [errorCodes(codesOf(`${runOf(layer)}/prediction`, index), codesOf("truth", index), shape[3]), 1, ERROR]
        : [codesOf(name, index), shape[3], report.heat ? HEAT : GREY];
      frames.set(key, frameCanvas(codes, [...shape.slice(0, 3), channels], colours));
    }
    return frames.get(key);
  }

  function drawStage() {
    const ratio = window.devicePixelRatio || 1;
    const across = stage.clientWidth;
    const down = Math.round(across * clamp(height / width, 0.3, 1.2));
    const [columns, rows] = [Math.round(across * ratio), Math.round(down * ratio)];
    if (stage.width !== columns || stage.height !== rows) {
      stage.style.height = `${down}px`;
      Object.assign(stage, { width: columns, height: rows });
      state.view = null;
    }
    state.view ??= wholeView(width, height, columns, rows);
    const context = stage.getContext("2d");
    const column = wipeColumn(state.wipe, columns);
    context.clearRect(0, 0, columns, rows);
    paintWithin(context, frameOf(state.left), state.view, report.shrink, 0, column);
    paintWithin(context, frameOf(state.right), state.view, report.shrink, column, columns);
    const run = element("gaussians").value;
    if (run !== "" && state.time > 0) {
      const gaussians = {};
      for (const name of ["mean", "scale", "rotation", "strength"]) gaussians[name] = state.arrays[`${run}/${name}`];
      drawGaussians(context, state.view, gaussians, state.time, ratio);
      const tracks = element("paths").checked ? state.clip.tracks[report.runs[run]] : [];
      drawPaths(context, state.view, gaussians, tracks, state.time, ratio);
    }
    const [left, right] = [state.left, state.right].map((layer) => captioned(layer, named(layer)));
    drawWipe(context, column, left, right, ratio);
  }

  function draw() {
    const time = timeText(state.time);
    for (const canvas of element("layers").querySelectorAll("canvas")) {
      const context = canvas.getContext("2d");
      context.clearRect(0, 0, width, height);
      paint(context, frameOf(canvas.dataset.layer), 0, 0, report.shrink);
      const { layer } = canvas.dataset;
      canvas.nextSibling.data = captioned(layer, kindOf(layer) + rangeText(layer));
      canvas.setAttribute("aria-label", `${captioned(layer, named(layer))}, frame ${time}`);
    }
    drawStage();
    element("time-shown").textContent = time;
    element("time").value = state.time;
    element("time").setAttribute("aria-valuetext", `frame ${time}`);
    element("wipe").value = state.wipe;
    const errors = Object.entries(state.clip.errors).map(
      ([label, values]) => `${label}: ${report.error} ${values[state.time - 1]?.toPrecision(4) ?? "unknown"}`);
    element("state").textContent =
      state.time > 0 ? `Frame ${time}. ${errors.join("; ")}` : `Frame ${time}, observed.`;
    stage.setAttribute("aria-label", `${state.clip.title}, frame ${time}. ` +
      `Left of the wipe: ${captioned(state.left, named(state.left))}; ` +
      `right: ${captioned(state.right, named(state.right))}.`);
  }

  function rangeText(layer) {
    const [low, high] = report.range;
    if (kindOf(layer) === "error") return ` (0 … ${((high - low) / 4).toPrecision(2)})`;
    const own = state.arrays[layer];
    return own.low < low || own.high > high ? ` (${own.low.toPrecision(2)} … ${own.high.toPrecision(2)})` : "";
  }

  // Small pictures of every layer, a row for each run; a click puts one at the right of the wipe.
  function buildLayers() {
    const rows = [["Truth", ["truth"]], ...report.runs.map((label, run) => [label, layersOf(run)])];
    element("layers").replaceChildren(...rows.map(([label, layers]) => {
      const row = make("div", { className: "row" });
      const box = make("div");
      box.append(...layers.map((layer) => {
        const button = make("button", { type: "button", className: "layer" });
        const canvas = make("canvas", { width, height });
        canvas.dataset.layer = layer;
        canvas.setAttribute("role", "img");
        button.append(canvas, "");
        button.addEventListener("click", () => setSide("right", layer));
        return button;
      }));
      row.append(make("h3", { textContent: label }), box);
      return row;
    }));
  }

  async function read(clip) {
    state.wanted = clip;
    const arrays = await unpack(clip);
    if (state.wanted !== clip) return; // another was chosen meanwhile
    Object.assign(state, { clip, arrays });
    frames.clear();
    const runs = report.runs.map((label, run) => [String(run), label]);
    fill("gaussians", [["", "none"], ...runs.filter(([run]) => `${run}/mean` in arrays)]);
    const layers = ["truth", ...runs.flatMap(([run]) => layersOf(run))];
    for (const side of ["left", "right"]) {
      fill(side, layers.map((layer) => [layer, named(layer)]));
      element(side).value = state[side];
    }
    buildLayers();
    draw();
  }

  function open(clip) {
    read(clip).catch((error) => { element("state").textContent = `This clip cannot be shown: ${error.message}`; });
  }

  function fill(id, options) {
    const before = element(id).value;
    element(id).replaceChildren(...options.map(([value, text]) => new Option(text, value)));
    element(id).value = before;
  }

  function setSide(side, layer) {
    state[side] = element(side).value = layer;
    draw();
  }

  function setTime(time) {
    state.time = clamp(time, 1 - report.inputs, report.horizon);
    draw();
  }

  function setWipe(percent) {
    state.wipe = clamp(percent, 0, 100);
    draw();
  }

  const whole = () => wholeView(width, height, stage.width, stage.height);

  function showWhole() {
    state.view = null;
    drawStage();
  }

  function zoom(factor, x = stage.width / 2, y = stage.height / 2) {
    const least = whole().scale;
    state.view = zoomed(state.view, factor, x, y, least);
    if (state.view.scale === least) state.view = null;
    drawStage();
  }

  function move(x, y) {
    const { scale } = state.view;
    state.view = { scale, x: state.view.x - x / scale, y: state.view.y - y / scale };
    drawStage();
  }

  let playing = 0;
  function play() {
    clearInterval(playing);
    const next = () => setTime(state.time < report.horizon ? state.time + 1 : 1 - report.inputs);
    playing = playing ? 0 : setInterval(next, 250);
    element("play").textContent = playing ? "Pause" : "Play";
  }

  const KEYS = {
    ArrowLeft: () => setTime(state.time - 1), ArrowRight: () => setTime(state.time + 1),
    "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8), 0: showWhole,
    "[": () => setWipe(state.wipe - 5), "]": () => setWipe(state.wipe + 5),
  };
  const MOVES = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] };
  stage.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const moved = event.shiftKey ? MOVES[event.key] : undefined;
    const action = moved ? () => move(...moved) : KEYS[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
  // Without focus the wheel scrolls the page, as everywhere.
  stage.addEventListener("wheel", (event) => {
    if (document.activeElement !== stage) return;
    event.preventDefault();
    const ratio = stage.width / stage.clientWidth;
    zoom(Math.exp(-event.deltaY / 400), event.offsetX * ratio, event.offsetY * ratio);
  }, { passive: false });

  let dragged = "";
  function drag(event) {
    const ratio = stage.width / stage.clientWidth;
    if (dragged === "wipe") setWipe((100 * event.offsetX) / stage.clientWidth);
    if (dragged === "frame") move(event.movementX * ratio, event.movementY * ratio);
  }
  stage.addEventListener("pointerdown", (event) => {
    const far = Math.abs(event.offsetX - (state.wipe / 100) * stage.clientWidth) > 14;
    dragged = far && state.view.scale > whole().scale ? "frame" : "wipe";
    stage.setPointerCapture(event.pointerId);
    if (dragged === "wipe") drag(event);
  });
  stage.addEventListener("pointermove", drag);
  for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, () => { dragged = ""; });

  Object.assign(element("time"), { min: 1 - report.inputs, max: report.horizon, value: 1 });
  element("time").addEventListener("input", (event) => setTime(Number(event.target.value)));
  element("wipe").addEventListener("input", (event) => setWipe(Number(event.target.value)));
  for (const side of ["left", "right"]) element(side).addEventListener("change", (event) => setSide(side, event.target.value));
  for (const id of ["gaussians", "paths"]) element(id).addEventListener("change", drawStage);
  const buttons = { play, closer: () => zoom(1.5), farther: () => zoom(1 / 1.5), whole: showWhole };
  for (const [id, action] of Object.entries(buttons)) element(id).addEventListener("click", action);
  report.clips.forEach((clip, index) => {
    const radio = make("input", { type: "radio", name: "clip", checked: index === 0 });
    radio.addEventListener("change", () => open(clip));
    const label = make("label");
    label.append(radio, ` ${clip.title}`);
    element("clips").append(label);
  });
  new ResizeObserver(() => state.clip && drawStage()).observe(stage);
  open(report.clips[0]);
})();
