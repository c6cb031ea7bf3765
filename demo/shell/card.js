// A picture for a slide, drawn here, where letters of every script are: what was asked, the best answers, whose they are.
(() => {
  const WIDE = 1600, TALL = 900, EDGE = 56;
  const load = (address) => new Promise((resolve) => {
    if (!address) { resolve(null); return; }
    const picture = new Image();
    picture.onload = () => resolve(picture);
    picture.onerror = () => resolve(null);
    picture.src = address;
  });
  const cut = (pen, text, room) => {
    if (pen.measureText(text).width <= room) return text;
    let end = text.length;
    while (end > 1 && pen.measureText(`${text.slice(0, end)}…`).width > room) end -= 1;
    return `${text.slice(0, end)}…`;
  };
  const wrapped = (pen, text, room, most) => {
    const lines = [];
    let line = '';
    for (const word of text.split(/(?<=\s)|(?<=[\u3000-\u9fff])/u)) {
      if (line && pen.measureText(line + word).width > room) { lines.push(line.trim()); line = ''; }
      line += word;
    }
    lines.push(line.trim());
    const shown = lines.slice(0, most);
    if (lines.length > most) shown[most - 1] = cut(pen, `${shown[most - 1]} …`, room);
    return shown.map((one) => cut(pen, one, room));
  };

  const draw = async (data) => {
    const canvas = document.createElement('canvas');
    canvas.width = WIDE;
    canvas.height = TALL;
    const pen = canvas.getContext('2d');
    const hue = (kind) => ({ point: '#c2610c', audio: '#0b7d6f', image: '#c42a63', text: '#2563c9' })[kind];
    const font = (size, weight = 400) => { pen.font = `${weight} ${size}px Inter, system-ui, -apple-system, "Segoe UI", Roboto, sans-serif`; };
    pen.fillStyle = '#f7f7fb';
    pen.fillRect(0, 0, WIDE, TALL);
    pen.fillStyle = '#1b1b2a';
    font(24, 600);
    pen.fillText(data.asked, EDGE, 62);
    let x = EDGE;
    for (const [i, term] of data.terms.entries()) {
      font(32, 700);
      const sign = i || term.weight < 0 ? (term.weight < 0 ? '− ' : '+ ') : '';
      const weight = data.terms.length > 1 ? `  ${Math.abs(term.weight).toFixed(2)}` : '';
      const words = cut(pen, `${sign}${term.label}${weight}`, Math.min(620, WIDE - EDGE - x));
      if (x > WIDE - 200) break;
      pen.fillStyle = hue(term.kind);
      pen.fillText(words, x, 112);
      x += pen.measureText(words).width + 26;
    }
    const room = (WIDE - 2 * EDGE - 3 * 28) / data.columns.length;
    for (const [i, column] of data.columns.entries()) {
      const left = EDGE + i * (room + 28);
      pen.fillStyle = hue(column.kind);
      font(24, 700);
      pen.fillText(column.title, left, 178);
      pen.fillRect(left, 190, room, 4);
      let top = 212;
      for (const [rank, hit] of column.hits.entries()) {
        const tall = rank ? 112 : 296;
        const picture = await load(hit.picture);
        pen.fillStyle = '#ffffff';
        pen.fillRect(left, top, room, tall);
        if (picture) {
          const box = rank ? [left, top, 112, 112] : [left, top, room, tall - 60];
          const scale = Math.min(box[2] / picture.width, box[3] / picture.height);
          const size = [picture.width * scale, picture.height * scale];
          pen.drawImage(picture, box[0] + (box[2] - size[0]) / 2, box[1] + (box[3] - size[1]) / 2, ...size);
        }
        pen.fillStyle = '#1b1b2a';
        font(rank ? 18 : 20, rank ? 400 : 600);
        const inner = picture ? (rank ? [left + 124, top + 34, room - 136, 3] : [left + 12, top + tall - 34, room - 24, 2])
          : [left + 14, top + 38, room - 28, rank ? 3 : 7];
        wrapped(pen, hit.caption, inner[2], inner[3]).forEach((line, n) => pen.fillText(line, inner[0], inner[1] + n * 24));
        top += tall + 14;
      }
    }
    pen.fillStyle = '#5d5d72';
    font(13);
    wrapped(pen, data.credits, WIDE - 2 * EDGE, 4).forEach((line, n) => pen.fillText(line, EDGE, 816 + n * 19));
    font(15, 600);
    pen.textAlign = 'right';
    pen.fillText(data.made, WIDE - EDGE, 62);
    return canvas;
  };

  document.addEventListener('click', async (event) => {
    const button = event.target.closest('[data-card]');
    if (!button) return;
    const canvas = await draw(JSON.parse(button.closest('.ob-takeaway').querySelector('.ob-data').textContent));
    const link = document.createElement('a');
    link.download = 'answers.png';
    link.href = canvas.toDataURL('image/png');
    link.click();
  });
})();
