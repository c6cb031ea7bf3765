// Runs once for each HTML component: passes what visitors do on to Python, and plays sounds in place.
const weigh = (slider) => {
  slider.setAttribute('value', slider.value);
  const output = slider.parentElement.querySelector('output');
  const value = Number(slider.value);
  slider.style.setProperty('--at', `${50 + 50 * value}%`); // from the middle, which is 0
  if (output) output.textContent = (value < 0 ? '' : '+') + value.toFixed(2);
  const chip = slider.closest('.ob-chip');
  if (chip) chip.classList.toggle('ob-minus', value < 0);
};

const play = (button) => {
  const sound = button.parentElement.querySelector('audio');
  document.querySelectorAll('.ob-face audio').forEach((other) => { if (other !== sound) other.pause(); });
  if (!sound.dataset.wired) {
    sound.dataset.wired = 'yes';
    ['play', 'pause', 'ended'].forEach((name) =>
      sound.addEventListener(name, () => button.classList.toggle('on', !sound.paused && !sound.ended)));
  }
  if (sound.paused) sound.play().catch(() => button.classList.remove('on')); else sound.pause();
};

element.addEventListener('click', (event) => {
  const player = event.target.closest('[data-play]');
  if (player) { play(player); return; }
  const copied = event.target.closest('[data-copy]');
  if (copied) {
    const link = new URL(copied.dataset.copy, location.href).href;
    (navigator.clipboard?.writeText(link) ?? Promise.reject()).then(
      () => { copied.textContent = obWords.say('Copied'); },
      () => { window.prompt(obWords.say('The link'), link); });
    return;
  }
  const button = event.target.closest('[data-act]');
  // The answers stay until the next ones are there: what is being added is not added again meanwhile.
  if (button?.closest('.ob-actions') && button.dataset.act !== 'search') {
    button.parentElement.querySelectorAll('button:not([data-act=search])').forEach((one) => { one.disabled = true; });
  }
  if (button && element.contains(button)) trigger('select', { act: button.dataset.act, id: button.dataset.id || '' });
});

// Answers follow while a slider moves: at most every 120 ms, and what waits is asked once, with where it stands then.
let moving = 0;
element.addEventListener('input', (event) => {
  if (!event.target.dataset.weight) return;
  weigh(event.target);
  if (!moving) moving = setTimeout(() => { moving = 0; trigger('input'); }, 120);
});

element.addEventListener('change', (event) => {
  const { share, weight } = event.target.dataset;
  if (!share && !weight) return;
  event.target.setAttribute('value', event.target.value);
  if (weight) weigh(event.target);
  clearTimeout(moving);
  moving = 0;
  trigger('input');
});

// The detail panel takes the focus when it opens; it is shown only after its head was drawn.
watch('value', () => { setTimeout(() => element.querySelector('.ob-close')?.focus({ preventScroll: true })); });

// The keyboard stays where it was when things are drawn anew: gradio matches old and new elements by their place alone.
let held = null;
element.addEventListener('focusin', ({ target: { dataset } }) => {
  const named = ['act', 'id', 'go'].filter((name) => name in dataset && !(name === 'id' && 'go' in dataset));
  held = 'act' in dataset ? named.map((name) => `[data-${name}="${CSS.escape(dataset[name])}"]`).join('') : null;
});
element.addEventListener('focusout', ({ target }) => {
  setTimeout(() => { if (target.isConnected && document.activeElement !== target) held = null; });
});
watch('value', () => {
  const now = document.activeElement;
  const lost = now === document.body;
  if (!held || (!lost && !element.contains(now)) || now.matches(held)) return;
  const same = element.querySelector(`${held}:not([disabled])`);
  if (!same && !lost) return;
  if (!same) element.tabIndex = -1; // it is gone: the next Tab goes on from here
  (same ?? element).focus({ preventScroll: true });
});

watch('value', () => { if (element.querySelector('.ob-tour')) window.dispatchEvent(new Event('ob-tour')); });

// Answers to nearly the same query say what came, left and moved: while a slider is dragged, specialists are weighed, an
// option is changed. A new search, of which fewer than half stood there before, says nothing.
let stood = {};
const marked = (column, before) => {
  const cards = [...column.querySelectorAll('.ob-card .ob-caption')];
  const now = cards.map((one) => one.dataset.id);
  if (!before?.length || now.filter((id) => before.includes(id)).length * 2 < now.length) return now;
  cards.forEach((one, place) => {
    const was = before.indexOf(one.dataset.id);
    if (was === place) return;
    const mark = document.createElement('span');
    mark.className = `ob-move${was < 0 ? ' ob-came' : ''}`;
    mark.textContent = was < 0 ? 'new' : was > place ? `↑ ${was - place}` : `↓ ${place - was}`;
    mark.title = was < 0 ? 'It was not among these answers before' : `It stood at place ${was + 1} before`;
    one.parentElement.querySelector('.ob-score')?.append(mark);
  });
  const left = before.filter((id) => !now.includes(id)).length;
  if (left) {
    const note = document.createElement('em');
    note.className = 'ob-left';
    note.textContent = `${left} gone`;
    column.querySelector('h3')?.append(note);
  }
  return now;
};
watch('value', () => {
  if (!element.querySelector('.ob-answers:not([aria-busy])')) return;
  window.dispatchEvent(new Event('ob-answers'));
  if (element.querySelector('.ob-idle')) { stood = {}; return; } // started over
  const columns = [...element.querySelectorAll('.ob-column')];
  stood = Object.fromEntries(columns.map((one) => [one.className, marked(one, stood[one.className])]));
});
