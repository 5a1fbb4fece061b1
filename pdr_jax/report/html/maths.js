"use strict";
// Functions of their arguments only; what draws is in explorer.js.

// The codes of values from their differences, in place; see packing.py.
function undoDifferences(codes, stride) {
  for (let i = stride; i < codes.length; i++) codes[i] += codes[i - stride];
  return codes;
}

// The arrays of a clip, by name: {codes, shape, low, high}.
function readArrays(buffer, described) {
  const found = {};
  for (const [name, { bits, shape, offset, low, high, stride }] of Object.entries(described)) {
    const length = shape.reduce((a, b) => a * b, 1);
    const kind = bits === 16 ? Uint16Array : Uint8Array;
    found[name] = { codes: undoDifferences(new kind(buffer, offset, length), stride), shape, low, high };
  }
  return found;
}

async function unpack({ arrays, data }) {
  const packed = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return readArrays(await new Response(stream).arrayBuffer(), arrays);
}

const valueAt = ({ codes, low, high }, i) => low + ((high - low) * codes[i]) / 65535;

// Time 1 is the first predicted frame and 0 the last observed one.
function frameAt(time, inputs) {
  return time > 0 ? { observed: false, index: time - 1 } : { observed: true, index: time + inputs - 1 };
}

const timeText = (time) => (time > 0 ? `+${time}` : time < 0 ? `−${-time}` : "0");
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
// The screen column at which the left picture ends.
const wipeColumn = (percent, width) => Math.round((clamp(percent, 0, 100) / 100) * width);

// A view shows the frame's point (x, y) at the canvas's corner, `scale` screen pixels per pixel.
function wholeView(width, height, canvasWidth, canvasHeight) {
  const scale = Math.min(canvasWidth / width, canvasHeight / height);
  return { scale, x: (width - canvasWidth / scale) / 2, y: (height - canvasHeight / scale) / 2 };
}

// Zooms so that what lies at the screen's point (x, y) stays there.
function zoomed(view, factor, x, y, least) {
  const scale = clamp(view.scale * factor, least, 200 * least);
  return { scale, x: view.x + x / view.scale - x / scale, y: view.y + y / view.scale - y / scale };
}

// Arguments of canvas's ellipse(). A pixel's centre is its index, and its corner half a pixel before.
function ellipseOnScreen(view, x, y, sigmaX, sigmaY, rotation) {
  return [
    (x + 0.5 - view.x) * view.scale, (y + 0.5 - view.y) * view.scale,
    Math.abs(sigmaX) * view.scale, Math.abs(sigmaY) * view.scale, rotation,
  ];
}

// Colours of 256 codes, by lines between hexadecimal stops.
function ramp(stops) {
  const rgb = stops.map((hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)));
  return Array.from({ length: 256 }, (_, code) => {
    const place = (code / 255) * (rgb.length - 1);
    const first = Math.min(Math.floor(place), rgb.length - 2);
    return rgb[first].map((c, i) => Math.round(c + (place - first) * (rgb[first + 1][i] - c)));
  });
}

// Codes of the absolute error, a quarter of the range being the brightest; channels are averaged.
function errorCodes(a, b, channels) {
  const found = new Uint8Array(a.length / channels);
  for (let i = 0; i < found.length; i++) {
    let sum = 0;
    for (let c = 0; c < channels; c++) sum += Math.abs(a[i * channels + c] - b[i * channels + c]);
    found[i] = Math.min(255, Math.round((4 * sum) / channels));
  }
  return found;
}

// RGBA of codes: three channels are colours, one is looked up.
function rgba(codes, channels, colours) {
  const count = codes.length / channels;
  const found = new Uint8ClampedArray(4 * count);
  for (let i = 0; i < count; i++) {
    const colour = channels === 3 ? codes.subarray(3 * i, 3 * i + 3) : colours[codes[i]];
    found[4 * i] = colour[0];
    found[4 * i + 1] = colour[1];
    found[4 * i + 2] = colour[2];
    found[4 * i + 3] = 255;
  }
  return found;
}
