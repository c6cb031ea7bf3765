// Draws the map on a canvas: zoom, pan, hover, click; two layouts, between which points glide. Marks come from a sibling.
const view = { scale: 1, x: 0, y: 0 };
let data = null;
let marks = [];
let chosen = '';
let mix = 1; // 1: gap closed, 0: as they are
let goal = 1;
let hovered = -1;
let pressed = null;
let loop = null; // places of the pointer while a loop is drawn around things
let looping = false; // the next drag draws one
let spans = null; // from where to where things lie on each axis, in both layouts
const EDGE = 44; // pixels that stay free around them: labels, the legend and the button lie there
let room = [1, 1]; // the canvas' width and height: asked for once a drawing, not once a point

const canvas = () => element.querySelector('canvas');
const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
const style = (name) => getComputedStyle(element).getPropertyValue(name).trim();
const at = (item) => [item[4] * mix + item[6] * (1 - mix), item[5] * mix + item[7] * (1 - mix)];

const span = (column) => data.items.reduce(([low, high], item) => [Math.min(low, item[column]), Math.max(high, item[column])], [9, -9]);

// What there is fills the sheet: its middle is the sheet's. The plane's axes have no meaning: it may be stretched, up to 2.5.
const place = (point) => {
  const [across, down] = room;
  const [[left, right], [top, bottom]] = [0, 1].map((axis) => [0, 1].map(
    (end) => spans.closed[axis][end] * mix + spans.apart[axis][end] * (1 - mix)));
  const most = [(across - 2 * EDGE) / Math.max(0.1, right - left), (down - 2 * EDGE) / Math.max(0.1, bottom - top)];
  const wide = Math.min(most[0], 2.5 * most[1]);
  const tall = Math.min(most[1], 2.5 * most[0]);
  return [
    across / 2 + ((point[0] - (left + right) / 2) * wide + view.x) * view.scale,
    down / 2 + ((point[1] - (top + bottom) / 2) * tall + view.y) * view.scale,
  ];
};

const form = (pen, kind, x, y, r) => {
  pen.beginPath();
  if (kind === 0) { pen.moveTo(x, y - r * 1.2); pen.lineTo(x + r * 1.2, y); pen.lineTo(x, y + r * 1.2); pen.lineTo(x - r * 1.2, y); pen.closePath(); }
  else if (kind === 1) { pen.moveTo(x, y - r * 1.1); pen.lineTo(x + r * 1.15, y + r); pen.lineTo(x - r * 1.15, y + r); pen.closePath(); }
  else if (kind === 2) pen.rect(x - r * 0.9, y - r * 0.9, r * 1.8, r * 1.8);
  else pen.arc(x, y, r, 0, 7);
};

const draw = () => {
  const box = canvas();
  if (!box || !data || !box.clientWidth) return;
  room = [box.clientWidth, box.clientHeight];
  const dense = window.devicePixelRatio || 1;
  if (box.width !== Math.round(box.clientWidth * dense) || box.height !== Math.round(box.clientHeight * dense)) {
    box.width = Math.round(box.clientWidth * dense);
    box.height = Math.round(box.clientHeight * dense);
  }
  const pen = box.getContext('2d');
  pen.setTransform(dense, 0, 0, dense, 0, 0);
  pen.clearRect(0, 0, box.clientWidth, box.clientHeight);
  const hues = ['--ob-point', '--ob-audio', '--ob-image', '--ob-text'].map(style);
  const ink = style('--ob-ink');
  const card = style('--ob-card');
  const r = Math.min(9, 3.4 * Math.sqrt(view.scale) * Math.sqrt(900 / Math.max(900, data.items.length)));
  hues.forEach((hue, kind) => {
    pen.fillStyle = hue;
    pen.globalAlpha = 0.8;
    data.items.forEach((item) => {
      if (item[1] !== kind) return;
      const [x, y] = place(at(item));
      if (x < -20 || y < -20 || x > room[0] + 20 || y > room[1] + 20) return;
      form(pen, kind, x, y, r);
      pen.fill();
    });
  });
  pen.globalAlpha = 1;
  const words = data.labels[mix > 0.5 ? 0 : 1].slice(0, Math.round(24 * view.scale));
  pen.font = '600 12.5px system-ui, sans-serif';
  pen.textAlign = 'center';
  const written = []; // no word over another: the larger neighbourhood comes first
  words.forEach(([word, x, y]) => {
    const [left, top] = place([x, y]);
    const half = pen.measureText(word).width / 2 + 2;
    if (written.some((one) => Math.abs(one[0] - left) < one[2] + half && Math.abs(one[1] - top) < 14)) return;
    written.push([left, top, half]);
    pen.lineWidth = 4;
    pen.strokeStyle = card;
    pen.strokeText(word, left, top - 9);
    pen.fillStyle = ink;
    pen.fillText(word, left, top - 9);
  });
  const ring = (index, width) => {
    if (index < 0) return;
    const [x, y] = place(at(data.items[index]));
    pen.lineWidth = width;
    pen.strokeStyle = ink;
    pen.beginPath();
    pen.arc(x, y, r + 6, 0, 7);
    pen.stroke();
  };
  ring(hovered, 1.5);
  ring(data.items.findIndex((item) => item[0] === chosen), 3);
  marks.forEach((mark) => {
    const point = [0, 1].map((i) => mark.closed[i] * mix + mark.apart[i] * (1 - mix));
    const [x, y] = place(point);
    pen.fillStyle = style('--ob-accent');
    pen.strokeStyle = card;
    pen.lineWidth = 2.5;
    pen.beginPath();
    for (let i = 0; i < 10; i += 1) {
      const reach = i % 2 ? 6 : 14;
      pen.lineTo(x + reach * Math.sin(i * Math.PI / 5), y - reach * Math.cos(i * Math.PI / 5));
    }
    pen.closePath();
    pen.fill();
    pen.stroke();
    pen.font = '700 13px system-ui, sans-serif';
    pen.lineWidth = 4;
    pen.strokeText(mark.label.slice(0, 40), x, y + 29);
    pen.fillText(mark.label.slice(0, 40), x, y + 29);
  });
  if (loop) {
    pen.beginPath();
    loop.forEach(([x, y]) => pen.lineTo(x, y));
    pen.closePath();
    pen.globalAlpha = 0.14;
    pen.fillStyle = style('--ob-accent');
    pen.fill();
    pen.globalAlpha = 1;
    pen.lineWidth = 2;
    pen.strokeStyle = style('--ob-accent');
    pen.stroke();
  }
  box.dataset.drawn = String(data.items.length);
};

const glide = () => {
  if (Math.abs(goal - mix) < 0.01 || calm) { mix = goal; draw(); return; }
  mix += (goal - mix) * 0.16;
  draw();
  requestAnimationFrame(glide);
};

const nearest = (event) => {
  const [left, top] = [event.offsetX, event.offsetY];
  let best = -1;
  let least = 16 ** 2;
  data.items.forEach((item, i) => {
    const [x, y] = place(at(item));
    const far = (x - left) ** 2 + (y - top) ** 2;
    if (far < least) { least = far; best = i; }
  });
  return best;
};

const inside = ([x, y], around) => around.reduce((odd, [ax, ay], i) => {
  const [bx, by] = around[(i + around.length - 1) % around.length];
  return (ay > y) !== (by > y) && x < ((bx - ax) * (y - ay)) / (by - ay) + ax ? !odd : odd;
}, false);

const hold = (on) => {
  looping = on;
  element.querySelector('.ob-lasso')?.setAttribute('aria-pressed', String(on));
};

const tell = () => {
  const tip = element.querySelector('.ob-tip');
  tip.hidden = hovered < 0;
  if (hovered < 0) return;
  const item = data.items[hovered];
  const [x, y] = place(at(item));
  const box = canvas();
  tip.replaceChildren();
  if (item[3]) { const face = document.createElement('img'); face.src = item[3]; face.alt = ''; tip.append(face); }
  const words = document.createElement('span');
  words.textContent = item[2];
  tip.append(words);
  tip.style.left = `${Math.min(Math.max(8, x + 14), box.clientWidth - 230)}px`;
  tip.style.top = `${Math.min(Math.max(8, y + 14), box.clientHeight - 84)}px`;
};

const zoom = (factor, left, top) => {
  const box = canvas();
  const before = view.scale;
  view.scale = Math.min(24, Math.max(0.7, view.scale * factor));
  view.x += (left - box.clientWidth / 2) * (1 / view.scale - 1 / before);
  view.y += (top - box.clientHeight / 2) * (1 / view.scale - 1 / before);
  tell();
  draw();
};

const listen = (box) => {
  element.querySelector('.ob-lasso').addEventListener('click', () => hold(!looping));
  box.addEventListener('pointermove', (event) => {
    if (loop) {
      loop.push([event.offsetX, event.offsetY]);
      draw();
      return;
    }
    if (pressed) {
      view.x += (event.offsetX - pressed.x) / view.scale;
      view.y += (event.offsetY - pressed.y) / view.scale;
      pressed = { x: event.offsetX, y: event.offsetY, moved: pressed.moved + Math.abs(event.movementX) + Math.abs(event.movementY) };
    } else hovered = nearest(event);
    box.style.cursor = pressed ? 'grabbing' : hovered < 0 ? 'grab' : 'pointer';
    tell();
    draw();
  });
  box.addEventListener('pointerdown', (event) => {
    if (!looping && !event.shiftKey) return;
    loop = [[event.offsetX, event.offsetY]];
    box.setPointerCapture(event.pointerId);
    event.stopImmediatePropagation();
  });
  box.addEventListener('pointerup', (event) => {
    if (!loop) return;
    const found = data.items.filter((item) => inside(place(at(item)), loop)).map((item) => item[0]);
    loop = null;
    hold(false);
    draw();
    event.stopImmediatePropagation();
    if (found.length) trigger('select', { act: 'loop', id: found.join(' ') });
  });
  box.addEventListener('pointerdown', (event) => { pressed = { x: event.offsetX, y: event.offsetY, moved: 0 }; box.setPointerCapture(event.pointerId); });
  box.addEventListener('pointerup', (event) => {
    const still = pressed && pressed.moved < 6;
    pressed = null;
    const found = still ? nearest(event) : -1;
    if (found >= 0) trigger('select', { act: 'open', id: data.items[found][0] });
  });
  box.addEventListener('pointerleave', () => { if (!pressed) { hovered = -1; tell(); draw(); } });
  box.addEventListener('wheel', (event) => { event.preventDefault(); zoom(Math.exp(-event.deltaY / 400), event.offsetX, event.offsetY); }, { passive: false });
  box.addEventListener('keydown', (event) => {
    const step = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[event.key];
    if (step) { view.x += step[0] / view.scale; view.y += step[1] / view.scale; draw(); event.preventDefault(); }
    if (event.key === '+' || event.key === '=') zoom(1.3, box.clientWidth / 2, box.clientHeight / 2);
    if (event.key === '-') zoom(1 / 1.3, box.clientWidth / 2, box.clientHeight / 2);
  });
  new ResizeObserver(draw).observe(box);
};

const read = () => {
  const source = element.querySelector('.ob-data');
  if (!source || !canvas()) return;
  data = JSON.parse(source.textContent);
  spans = { closed: [span(4), span(5)], apart: [span(6), span(7)] };
  if (!canvas().dataset.wired) { canvas().dataset.wired = 'yes'; listen(canvas()); }
  draw();
};

window.addEventListener('ob-map', (event) => {
  if (event.detail.gap !== undefined) { goal = event.detail.gap ? 0 : 1; glide(); return; }
  marks = event.detail.marks;
  chosen = event.detail.chosen;
  draw();
});
watch('value', read);
read();
