// Escape closes the detail panel, and whoever closes it is back at what opened it; Ctrl+Z and Ctrl+Shift+Z undo and redo
// the mix, where nothing is being written.
let obOpener = null;
document.addEventListener('click', (event) => {
  obOpener = event.target.closest('[data-act=open]') ?? obOpener;
  if (event.target.closest('.ob-close')) obOpener?.focus({ preventScroll: true });
});
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') document.querySelector('.ob-open-drawer .ob-close')?.click();
  const writing = event.target.closest?.('input:not([type=range]), textarea');
  if (writing || !(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== 'z') return;
  const way = document.querySelector(`.ob-steps [data-act=${event.shiftKey ? 'redo' : 'undo'}]`);
  if (way?.offsetParent) { event.preventDefault(); way.click(); }
});
