// Tours: arrows turn the pages, presenting hides all else, and a link from another tab opens one.
(() => {
  const stage = () => [...document.querySelectorAll('.ob-stage')].find((one) => one.offsetParent !== null);
  const present = (on) => {
    document.body.classList.toggle('ob-presenting', on);
    if (on) document.documentElement.requestFullscreen?.().catch(() => {});
    else if (document.fullscreenElement) document.exitFullscreen().catch(() => {});
  };

  // A tour comes with all its steps; turning to another one shows it, says it to screen readers, and keeps the keyboard.
  const turn = (number) => {
    const from = stage();
    const to = from?.parentElement.querySelectorAll('.ob-stage')[number];
    if (!to) return;
    const way = from.contains(document.activeElement) && document.activeElement.dataset.go;
    from.hidden = true;
    to.hidden = false;
    to.parentElement.querySelector('[aria-live]').textContent = to.querySelector('.ob-say').textContent;
    if (way) (to.querySelector(`[data-go="${way}"]:not([disabled])`) ?? to.querySelector('[data-go=next]')).focus();
    document.querySelector('.ob-open-drawer .ob-close')?.click();
  };
  // Keys that are pressed while another tour is on its way turn its pages once it is there.
  let ahead = null;
  window.addEventListener('ob-tour', () => { if (ahead) turn(ahead); ahead = null; });

  document.addEventListener('keydown', (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || !stage()) return;
    if (event.target.closest?.('input, textarea, select, audio, [role=tab], [contenteditable=true]')) return;
    const way = { ArrowRight: 'next', PageDown: 'next', ArrowLeft: 'previous', PageUp: 'previous' }[event.key];
    if (event.key === 'Escape') present(false);
    if (!way) return;
    event.preventDefault();
    if (ahead === null) stage().querySelector(`[data-go=${way}]:not([disabled])`)?.click();
    else ahead = Math.max(0, ahead + (way === 'next' ? 1 : -1));
  });
  document.addEventListener('fullscreenchange', () => { if (!document.fullscreenElement) present(false); });

  document.addEventListener('click', (event) => {
    if (event.target.closest('[data-present]')) present(!document.body.classList.contains('ob-presenting'));
    if (event.target.closest('[data-act=shelf]')) present(false);
    const turned = event.target.closest('[data-turn]');
    if (turned) turn(Number(turned.dataset.turn));
    ahead = event.target.closest('[data-act=step]') ? 0 : turned ? null : ahead;
    const tour = event.target.closest('[data-tour]');
    if (!tour) return;
    const tab = [...document.querySelectorAll('[role=tab]')].find((one) => one.textContent.trim() === obWords.say('Stories'));
    tab?.click();
    const end = Date.now() + 5000;
    const open = () => {
      const shelf = [...document.querySelectorAll('.ob-shelf')].find((one) => one.offsetParent !== null);
      const first = shelf?.querySelector(`[data-id="${tour.dataset.tour}"]`);
      if (first) first.click();
      else if (!stage() && Date.now() < end) setTimeout(open, 60);
    };
    open();
  });
})();
