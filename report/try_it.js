"use strict";
// Draw a digit and see what the models make of it. Everything is in the page; nothing is loaded.
(() => {
  const SIDE = 28, BOX_SIDE = 20, BOX_MARGIN = 4, EDGE = 0.25, PEN = 24;
  const element = name => document.getElementById(`try-it-${name}`);
  const canvas = element("canvas"), seen = element("seen"), bars = element("bars");
  const pen = canvas.getContext("2d", { willReadFrequently: true });

  const decode = text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
  const data = JSON.parse(element("data").textContent);
  const images = decode(data.images);
  const models = data.models.map(model => ({
    name: model.name,
    weights: new Float32Array(decode(model.weights).buffer),
  }));

  // --- from ink to probabilities: the same as to_mnist in predict/normalisation.py --------------

  // The part of each old row or column that lies in each new one.
  function coverage(start, size, longest, length) {
    const count = Math.max(Math.floor((2 * BOX_SIDE * size + longest) / (2 * longest)), 1);
    const edge = k => start + (k - BOX_MARGIN) * size / count;
    return Array.from({ length: count + 2 * BOX_MARGIN }, (_, k) =>
      Float64Array.from({ length }, (_, old) =>
        Math.max(Math.min(edge(k + 1), old + 1) - Math.max(edge(k), old), 0)));
  }

  // How far the center of mass is from the middle, as a whole number of rows or columns.
  function offset(sums) {
    let total = 0, moment = 0;
    sums.forEach((sum, k) => { total += sum; moment += (2 * k - 27) * sum; });
    return Math.floor(moment / (2 * total));
  }

  // ink: amounts in width x height pixels. Returns 28x28 pixels, 0 to 255; null if there is no ink.
  function toMnist(ink, width, height) {
    const most = ink.reduce((a, b) => Math.max(a, b), 0);
    if (!most) return null;
    let [top, bottom, left, right] = [height, -1, width, -1];
    ink.forEach((amount, place) => {
      if (amount <= EDGE * most) return;
      const row = Math.floor(place / width), column = place % width;
      top = Math.min(top, row);
      bottom = Math.max(bottom, row);
      left = Math.min(left, column);
      right = Math.max(right, column);
    });
    const longest = Math.max(bottom - top, right - left) + 1;
    const rows = coverage(top, bottom - top + 1, longest, height);
    const columns = coverage(left, right - left + 1, longest, width);
    const amounts = rows.map(row => {
      const line = new Float64Array(width);
      row.forEach((share, y) => {
        if (share) for (let x = 0; x < width; x++) line[x] += share * ink[y * width + x];
      });
      return columns.map(column => column.reduce((sum, share, x) => sum + share * line[x], 0));
    });
    const largest = Math.max(...amounts.flat());
    const digit = amounts.map(line => line.map(a => Math.floor(255 * a / largest + 0.500001)));
    const sum = numbers => numbers.reduce((a, b) => a + b, 0);
    const down = offset(digit.map(sum));
    const across = offset(digit[0].map((_, x) => sum(digit.map(line => line[x]))));
    return Uint8Array.from({ length: SIDE * SIDE }, (_, place) =>
      digit[Math.floor(place / SIDE) + down]?.[place % SIDE + across] ?? 0);
  }

  function probabilities(weights, pixels) {
    const logits = Array.from({ length: 10 }, (_, k) => pixels.reduce(
      (z, pixel, place) => z + (pixel / 127.5 - 1) * weights[10 * place + k],
      weights[10 * SIDE * SIDE + k]));
    const exponentials = logits.map(z => Math.exp(z - Math.max(...logits)));
    return exponentials.map(e => e / exponentials.reduce((a, b) => a + b));
  }

  // --- what is shown -----------------------------------------------------------------------------

  function add(parent, role, text = "") {
    const child = parent.appendChild(document.createElement("div"));
    child.setAttribute("role", role);
    child.textContent = text;
    return child;
  }

  const heading = add(bars, "row");
  ["digit", ...models.map(model => model.name)].forEach(name => add(heading, "columnheader", name));
  const cells = Array.from({ length: 10 }, (_, digit) => {
    const row = add(bars, "row");
    add(row, "rowheader", digit);
    return models.map(() => {
      const cell = add(row, "cell");
      cell.append(document.createElement("span"), document.createElement("i"));
      return cell;
    });
  });

  const percent = p => `${Math.round(100 * p)} %`;

  function update() {
    const { width, height } = canvas;
    const ink = pen.getImageData(0, 0, width, height).data.filter((_, place) => place % 4 === 3);
    const pixels = toMnist(ink, width, height);
    const shades = new ImageData(SIDE, SIDE);
    shades.data.forEach((_, k) => { shades.data[k] = k % 4 === 3 ? 255 : pixels?.[k >> 2] ?? 0; });
    seen.getContext("2d").putImageData(shades, 0, 0);
    const all = models.map(model => pixels && probabilities(model.weights, pixels));
    cells.forEach((row, digit) => row.forEach((cell, k) => {
      cell.firstChild.textContent = pixels ? percent(all[k][digit]) : "–";
      cell.lastChild.style.setProperty("--share", pixels ? all[k][digit] : 0);
      cell.classList.toggle("most", pixels !== null && all[k][digit] === Math.max(...all[k]));
    }));
    return all;
  }

  // Said only when a stroke or a step has ended, so that screen readers are not flooded.
  function announce(before = "") {
    const results = update().map((p, k) => {
      if (!p) return null;
      const most = Math.max(...p);
      return `${models[k].name} reads a ${p.indexOf(most)} (${percent(most)})`;
    });
    element("result").textContent = before + (results[0] ? `${results.join(", ")}.` : "Nothing is drawn.");
  }

  // --- drawing: a list of strokes, images and clearings, drawn anew after each undo ---------------

  const steps = [];
  let imageNumber = -1, isPlanned = false;

  function drawStroke(points, first = 0) {
    pen.strokeStyle = getComputedStyle(canvas).color;
    pen.lineWidth = PEN;
    pen.lineCap = "round";
    for (let k = first; k < points.length; k++) {
      pen.beginPath();
      pen.moveTo(...points[Math.max(k - 1, 0)]);
      // A line of no length, a dot, would not be painted.
      pen.lineTo(points[k][0] + 0.01, points[k][1]);
      pen.stroke();
    }
  }

  function drawImage(number) {
    const small = document.createElement("canvas"), pixels = new ImageData(SIDE, SIDE);
    small.width = small.height = SIDE;
    for (let k = 0; k < SIDE * SIDE; k++) pixels.data[4 * k + 3] = images[SIDE * SIDE * number + k];
    small.getContext("2d").putImageData(pixels, 0, 0);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(small, 0, 0, canvas.width, canvas.height);
    pen.globalCompositeOperation = "source-in";
    pen.fillStyle = getComputedStyle(canvas).color;
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.globalCompositeOperation = "source-over";
  }

  function drawAll() {
    pen.clearRect(0, 0, canvas.width, canvas.height);
    for (const step of steps.slice(Math.max(steps.map(step => !step.points).lastIndexOf(true), 0))) {
      if (step.points) drawStroke(step.points);
      else if (step.image !== undefined) drawImage(step.image);
    }
  }

  function extend(event) {
    const box = canvas.getBoundingClientRect(), { points } = steps[steps.length - 1];
    const before = points.length, passed = event.getCoalescedEvents?.() ?? [];
    for (const { clientX, clientY } of passed.length ? passed : [event]) {
      points.push([
        (clientX - box.left) * canvas.width / box.width,
        (clientY - box.top) * canvas.height / box.height,
      ]);
    }
    drawStroke(points, before);
    if (isPlanned) return;
    isPlanned = true;
    requestAnimationFrame(() => { isPlanned = false; update(); });
  }

  canvas.addEventListener("pointerdown", event => {
    if (!event.isPrimary || event.button) return;
    canvas.setPointerCapture(event.pointerId);
    steps.push({ points: [] });
    extend(event);
  });
  canvas.addEventListener("pointermove", event => {
    if (canvas.hasPointerCapture(event.pointerId)) extend(event);
  });
  canvas.addEventListener("lostpointercapture", () => announce());

  function take(step, before) {
    steps.push(step);
    drawAll();
    announce(before);
  }

  element("next").addEventListener("click", () => {
    imageNumber = (imageNumber + 1) % data.labels.length;
    take({ image: imageNumber }, `This is a ${data.labels[imageNumber]}. `);
  });
  element("clear").addEventListener("click", () => take({}));
  element("undo").addEventListener("click", () => {
    steps.pop();
    drawAll();
    announce();
  });
  // The ink has the colour of the page's text, also when that changes.
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);

  document.getElementById("try-it").hidden = false;
  const entry = document.createElement("li"), link = entry.appendChild(document.createElement("a"));
  [link.href, link.textContent] = ["#try-it", "Try it"];
  document.querySelector("nav ul")?.append(entry);
  update();
})();
