// What is drawn on a canvas. Sizes in screen pixels are multiplied by `ratio`, device pixels in one.

const GREY = ramp(["#000000", "#ffffff"]);
const HEAT = ramp(["#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725"]);
const ERROR = ramp(["#000004", "#1b0c41", "#4a0c6b", "#781c6d", "#a52c60", "#cf4446", "#ed6925", "#fb9b06", "#f7d13d", "#fcffa4"]);
const POSITIVE = "#ff8c1a";
const NEGATIVE = "#33a6ff";

// A canvas of one frame, a pixel for a pixel.
function frameCanvas(codes, [, rows, columns, channels], colours) {
  const canvas = Object.assign(document.createElement("canvas"), { width: columns, height: rows });
  canvas.getContext("2d").putImageData(new ImageData(rgba(codes, channels, colours), columns, rows), 0, 0);
  return canvas;
}

// A frame with its corner at (x, y); one pixel becomes a square of `scale`.
function paint(context, frame, x, y, scale) {
  if (!frame) return;
  context.imageSmoothingEnabled = false;
  context.drawImage(frame, x, y, frame.width * scale, frame.height * scale);
}

function paintWithin(context, frame, view, shrink, from, to) {
  context.save();
  context.beginPath();
  context.rect(from, 0, to - from, context.canvas.height);
  context.clip();
  paint(context, frame, -view.x * view.scale, -view.y * view.scale, shrink * view.scale);
  context.restore();
}

function drawWipe(context, column, left, right, ratio) {
  for (const [colour, half] of [["#000000", 2 * ratio], ["#ffffff", ratio]]) {
    context.fillStyle = colour;
    context.fillRect(column - half, 0, 2 * half, context.canvas.height);
  }
  const style = { font: `${13 * ratio}px system-ui, sans-serif`, textBaseline: "top", lineJoin: "round" };
  Object.assign(context, style, { lineWidth: 4 * ratio, strokeStyle: "#000000", fillStyle: "#ffffff" });
  for (const [text, textAlign, x] of [[left, "right", column - 8 * ratio], [right, "left", column + 8 * ratio]]) {
    context.textAlign = textAlign;
    context.strokeText(text, x, 8 * ratio);
    context.fillText(text, x, 8 * ratio);
  }
}

// Ellipses of one standard deviation at a time of 1 and more.
function drawGaussians(context, view, { mean, scale, rotation, strength }, time, ratio) {
  const count = mean.shape[1];
  const strongest = Math.max(Math.abs(strength.low), Math.abs(strength.high)) || 1;
  context.save();
  context.lineWidth = 1.25 * ratio;
  for (let i = (time - 1) * count; i < time * count; i++) {
    const [x, y, sigmaX, sigmaY] = [mean, mean, scale, scale].map((pair, n) => valueAt(pair, 2 * i + (n % 2)));
    const amplitude = valueAt(strength, i);
    context.globalAlpha = 0.15 + 0.85 * Math.abs(amplitude / strongest);
    context.strokeStyle = amplitude < 0 ? NEGATIVE : POSITIVE;
    context.setLineDash(amplitude < 0 ? [4 * ratio, 3 * ratio] : []);
    context.beginPath();
    context.ellipse(...ellipseOnScreen(view, x, y, sigmaX, sigmaY, valueAt(rotation, i)), 0, 2 * Math.PI);
    context.stroke();
  }
  context.restore();
}

// Where the Gaussians of these numbers have been until a time; each path ends in a dot.
function drawPaths(context, view, { mean }, tracks, time, ratio) {
  for (const [colour, lineWidth] of [["#000000", 4 * ratio], ["#ffffff", 2 * ratio]]) {
    Object.assign(context, { strokeStyle: colour, fillStyle: colour, lineWidth });
    for (const track of tracks) {
      let end = [0, 0];
      context.beginPath();
      for (let t = 0; t < time; t++) {
        const i = 2 * (t * mean.shape[1] + track);
        end = ellipseOnScreen(view, valueAt(mean, i), valueAt(mean, i + 1), 0, 0, 0);
        context.lineTo(end[0], end[1]);
      }
      context.stroke();
      context.beginPath();
      context.arc(end[0], end[1], lineWidth, 0, 2 * Math.PI);
      context.fill();
    }
  }
}
