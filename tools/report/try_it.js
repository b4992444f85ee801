"use strict";
// Draw a digit and see what the models make of it. Everything is in the page; nothing is loaded.
(() => {
  const SIDE = 28, BOX_SIDE = 20, BOX_MARGIN = 4, EDGE = 0.25, PEN = 24;
  // Parts of the longer side of a digit: its widest stroke, and a gap within it.
  const WIDEST_STROKE = 0.5, WIDEST_GAP = 0.15;
  // Digits side by side may overlap by this part of the narrower one, since they are often slanted.
  const OVERLAP = 0.4;
  const NEIGHBOURS = [[-1, -1], [-1, 0], [-1, 1], [0, -1], [0, 1], [1, -1], [1, 0], [1, 1]];
  const element = name => document.getElementById(`try-it-${name}`);
  const canvas = element("canvas"), slider = element("lambda");
  const pen = canvas.getContext("2d", { willReadFrequently: true });

  const decode = text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
  const data = JSON.parse(element("data").textContent);
  const images = decode(data.images);
  const models = data.models.map(model => ({
    name: model.name,
    weights: new Float32Array(decode(model.weights).buffer),
  }));

  // --- whether there is one digit: the rules of tools/predict, as far as a clean canvas needs them ---

  const longestSide = mark => Math.max(mark.bottom - mark.top, mark.right - mark.left) + 1;
  const union = (a, b) => ({
    top: Math.min(a.top, b.top),
    bottom: Math.max(a.bottom, b.bottom),
    left: Math.min(a.left, b.left),
    right: Math.max(a.right, b.right),
    size: a.size + b.size,
    square: Math.max(a.square, b.square),
  });

  // The connected marks: their outermost rows and columns, and how many pixels and how large a square
  // of ink they have.
  function marksOf(ink, width, height) {
    const limit = EDGE * ink.reduce((a, b) => Math.max(a, b), 0), marks = [];
    const isInk = Array.from(ink, amount => amount > limit);
    // The largest square of ink whose lower right corner is this pixel.
    const squares = new Uint16Array(ink.length);
    isInk.forEach((isHere, place) => {
      const above = place - width;
      const before = place % width && Math.min(squares[place - 1], squares[above] ?? 0, squares[above - 1] ?? 0);
      if (isHere) squares[place] = 1 + before;
    });
    isInk.forEach((isHere, start) => {
      if (!isHere || !isInk[start]) return;
      const row = Math.floor(start / width), column = start % width;
      let mark = { top: row, bottom: row, left: column, right: column, size: 0, square: 0 };
      const waiting = [start];
      isInk[start] = false;
      for (const place of waiting) {
        const x = place % width, y = Math.floor(place / width);
        mark = union(mark, { top: y, bottom: y, left: x, right: x, size: 1, square: squares[place] });
        for (const [down, across] of NEIGHBOURS) {
          const next = place + width * down + across;
          if (!isInk[next] || x + across < 0 || x + across >= width) continue;
          isInk[next] = false;
          waiting.push(next);
        }
      }
      marks.push(mark);
    });
    return marks.sort((a, b) => b.size - a.size);
  }

  // Strokes may be broken, but what stands beside the rest, and is as tall, is another digit.
  function belongsTo(digit, mark) {
    const down = Math.max(mark.top - digit.bottom, digit.top - mark.bottom);
    const across = Math.max(mark.left - digit.right, digit.left - mark.right);
    const { top, bottom } = union(digit, mark);
    const shorter = Math.min(mark.bottom - mark.top, digit.bottom - digit.top);
    const narrower = Math.min(mark.right - mark.left, digit.right - digit.left);
    const isBeside = across > -OVERLAP * narrower && shorter >= (bottom - top) / 2;
    return !isBeside && Math.max(down, across) <= Math.max(WIDEST_GAP * longestSide(digit), PEN);
  }

  // Why the ink is not read; "" if it is one digit.
  function refusal(ink, width, height) {
    let [digit, ...others] = marksOf(ink, width, height);
    if (!digit) return "Nothing is drawn.";
    for (let found; (found = others.find(mark => belongsTo(digit, mark)));) {
      digit = union(digit, found);
      others = others.filter(mark => mark !== found);
    }
    if (others.length) return `Found ${others.length + 1} marks; expected a single digit.`;
    if (digit.square > WIDEST_STROKE * longestSide(digit)) {
      return "Found a filled area; expected the strokes of a digit.";
    }
    if (digit.right - digit.left > 3 * (digit.bottom - digit.top)) {
      return "Found a line or a row of letters; expected a digit.";
    }
    return "";
  }

  // --- from ink to probabilities: the same as to_mnist in tools/predict/normalisation.py ------------

  // The part of each old row or column that lies in each new one.
  function coverage(start, size, longest, length) {
    const count = Math.max(Math.floor((2 * BOX_SIDE * size + longest) / (2 * longest)), 1);
    const edge = k => start + (k - BOX_MARGIN) * size / count;
    return Array.from({ length: count + 2 * BOX_MARGIN }, (_, k) =>
      Float64Array.from({ length }, (_, old) =>
        Math.max(Math.min(edge(k + 1), old + 1) - Math.max(edge(k), old), 0)));
  }

  // How far the centre of mass is from the middle, in whole rows or columns.
  function offset(sums) {
    let total = 0, moment = 0;
    sums.forEach((sum, k) => { total += sum; moment += (2 * k - 27) * sum; });
    return Math.floor(moment / (2 * total));
  }

  // ink: amounts in width x height pixels, not all 0. Returns 28x28 pixels, 0 to 255.
  function toMnist(ink, width, height) {
    const most = ink.reduce((a, b) => Math.max(a, b), 0);
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
    const down = offset(digit.map(sum));
    const across = offset(digit[0].map((_, x) => sum(digit.map(line => line[x]))));
    return Uint8Array.from({ length: SIDE * SIDE }, (_, place) =>
      digit[Math.floor(place / SIDE) + down]?.[place % SIDE + across] ?? 0);
  }

  const sum = numbers => numbers.reduce((a, b) => a + b, 0);

  // What each pixel adds to the logit of a digit; the last term is the bias.
  const terms = (weights, pixels, digit) =>
    Array.from({ length: SIDE * SIDE + 1 }, (_, place) =>
      (place < SIDE * SIDE ? pixels[place] / 127.5 - 1 : 1) * weights[10 * place + digit]);

  function probabilities(weights, pixels) {
    const logits = Array.from({ length: 10 }, (_, digit) => sum(terms(weights, pixels, digit)));
    const exponentials = logits.map(z => Math.exp(z - Math.max(...logits)));
    return exponentials.map(e => e / sum(exponentials));
  }

  // --- what is shown -----------------------------------------------------------------------------

  // Paints 28x28 numbers: positive ones red, negative ones blue, the largest in full colour.
  const RED = [224, 74, 56], BLUE = [76, 134, 232];
  function paint(target, values, most) {
    const image = new ImageData(SIDE, SIDE);
    for (let k = 0; k < SIDE * SIDE; k++) {
      image.data.set(values[k] > 0 ? RED : BLUE, 4 * k);
      image.data[4 * k + 3] = Math.round(255 * Math.abs(values[k]) / (most || 1));
    }
    target.getContext("2d").putImageData(image, 0, 0);
  }

  const tiles = Array.from({ length: 10 }, (_, digit) => {
    const tile = element("digits").appendChild(document.createElement("div"));
    tile.setAttribute("role", "listitem");
    const [template, text, bar] = ["canvas", "span", "i"].map(name => tile.appendChild(document.createElement(name)));
    template.width = template.height = SIDE;
    template.setAttribute("aria-hidden", "true");
    text.append(document.createElement("span"), document.createElement("span"));
    text.firstChild.textContent = digit;
    return { tile, template, share: text.lastChild, bar };
  });

  const percent = p => `${Math.round(100 * p)}\u202f%`;
  // What rounds to zero has no sign.
  const signed = x => (Math.round(1000 * x) / 1000 || 0).toFixed(3).replace("-", "−");
  const withArticle = digit => `${digit === 8 ? "an" : "a"} ${digit}`;
  const most = values => values.reduce((a, b) => Math.max(a, Math.abs(b)), 0);

  function choose() {
    const { name, weights } = models[slider.value];
    element("name").textContent = name;
    slider.setAttribute("aria-valuetext", name);
    const strongest = most(weights.subarray(0, 10 * SIDE * SIDE));
    tiles.forEach(({ template }, digit) =>
      paint(template, Array.from({ length: SIDE * SIDE }, (_, k) => weights[10 * k + digit]), strongest));
    element("scale").textContent = "The weights of the ten digits for this λ: ink where they are red speaks for the digit,"
      + ` where they are blue against it; full colour is ${strongest.toPrecision(2)}.`;
  }

  function explain(weights, pixels, p) {
    const order = [...p.keys()].sort((a, b) => p[b] - p[a]), [first, second] = order;
    const others = terms(weights, pixels, second);
    const differences = terms(weights, pixels, first).map((term, k) => term - others[k]);
    const bias = differences.pop();
    paint(element("why"), differences, most(differences));
    element("legend").textContent = `Why: red pixels speak for ${first}, blue ones for ${second}, the runner-up.`
      + ` Their logits differ by ${signed(sum(differences) + bias)}, the sum of what is drawn and of the bias, ${signed(bias)}.`;
  }

  // Returns the probabilities, or why there are none.
  function update() {
    const { width, height } = canvas, { weights } = models[slider.value];
    const ink = pen.getImageData(0, 0, width, height).data.filter((_, place) => place % 4 === 3);
    const problem = refusal(ink, width, height);
    const pixels = problem ? null : toMnist(ink, width, height);
    const shades = new ImageData(SIDE, SIDE);
    shades.data.forEach((_, k) => { shades.data[k] = k % 4 === 3 ? 255 : pixels?.[k >> 2] ?? 0; });
    element("seen").getContext("2d").putImageData(shades, 0, 0);
    const p = pixels && probabilities(weights, pixels);
    tiles.forEach(({ tile, share, bar }, digit) => {
      share.textContent = p ? percent(p[digit]) : "–";
      bar.style.setProperty("--share", p ? p[digit] : 0);
      tile.classList.toggle("most", p !== null && p[digit] === Math.max(...p));
    });
    if (p) {
      explain(weights, pixels, p);
    } else {
      paint(element("why"), new Float32Array(SIDE * SIDE), 0);
      element("legend").textContent =
        "Why: here the pixels that speak for the digit become red, those for the runner-up blue.";
    }
    return { p, problem };
  }

  // Only when a stroke or a step has ended, so that screen readers are not flooded.
  function announce(before = "") {
    const { p, problem } = update(), digit = p?.indexOf(Math.max(...p));
    element("result").textContent = before
      + (problem || `${models[slider.value].name} reads ${withArticle(digit)} (${percent(p[digit])}).`);
  }

  slider.max = models.length - 1;
  slider.addEventListener("input", () => { choose(); announce(); });

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
      // A line of length zero, a dot, would not be painted.
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
    take({ image: imageNumber }, `This is ${withArticle(data.labels[imageNumber])}. `);
  });
  element("clear").addEventListener("click", () => take({}));
  element("undo").addEventListener("click", () => {
    steps.pop();
    drawAll();
    announce();
  });
  // The ink keeps the colour of the page's text when that changes.
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);

  document.querySelector(".try-it-slider").hidden = models.length < 2;
  choose();
  document.getElementById("try-it").hidden = false;
  const linkHere = text => Object.assign(document.createElement("a"), { href: "#try-it", textContent: text });
  const skip = linkHere("Skip to Try it"), entry = document.createElement("li");
  skip.className = "skip";
  document.querySelector(".skip")?.after(skip);
  entry.append(linkHere("Try it"));
  document.querySelector("nav ul")?.append(entry);
  update();
})();
