// Tours: arrows turn the pages, presenting hides all else, and a link from another tab opens one.
(() => {
  const stage = () => [...document.querySelectorAll('.ob-stage')].find((one) => one.offsetParent !== null);
  const present = (on) => {
    document.body.classList.toggle('ob-presenting', on);
    if (on) document.documentElement.requestFullscreen?.().catch(() => {});
    else if (document.fullscreenElement) document.exitFullscreen().catch(() => {});
  };

  document.addEventListener('keydown', (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || !stage()) return;
    if (event.target.closest?.('input, textarea, select, audio, [role=tab], [contenteditable=true]')) return;
    const way = { ArrowRight: 'next', PageDown: 'next', ArrowLeft: 'previous', PageUp: 'previous' }[event.key];
    if (event.key === 'Escape') present(false);
    const button = way && stage().querySelector(`[data-go=${way}]:not([disabled])`);
    if (button) { event.preventDefault(); button.click(); }
  });
  document.addEventListener('fullscreenchange', () => { if (!document.fullscreenElement) present(false); });

  document.addEventListener('click', (event) => {
    if (event.target.closest('[data-present]')) present(!document.body.classList.contains('ob-presenting'));
    if (event.target.closest('[data-act=shelf]')) present(false);
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
