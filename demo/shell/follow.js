// What was just asked is answered within sight: on a narrow screen the page goes to where the answers come. And an address
// that names a query stops naming it once something else is asked.
(() => {
  const asked = (from) => {
    const address = new URL(location.href);
    if (address.searchParams.has('q')) {
      address.searchParams.delete('q');
      history.replaceState(history.state, '', address);
    }
    if (innerWidth > 760) return;
    const place = from.closest('[role=tabpanel]')?.querySelector('.ob-found, .ob-mix');
    const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
    place?.scrollIntoView({ behavior: still ? 'auto' : 'smooth', block: 'start' });
  };
  document.addEventListener('click', (event) => {
    const from = event.target.closest('.ob-send, .ob-two button.primary, [data-act=example], [data-act=say], [data-act=mix], [data-act=search], [data-act=add], [data-act=subtract]');
    if (from) asked(from);
  });
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && !event.shiftKey && event.target.closest?.('.ob-text textarea')) asked(event.target);
  });
})();
