// Escape closes the detail panel; Ctrl+Z and Ctrl+Shift+Z undo and redo the mix, where nothing is being written.
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') document.querySelector('.ob-drawer .ob-close')?.click();
  const writing = event.target.closest?.('input:not([type=range]), textarea');
  if (writing || !(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== 'z') return;
  const way = document.querySelector(`.ob-steps [data-act=${event.shiftKey ? 'redo' : 'undo'}]`);
  if (way?.offsetParent) { event.preventDefault(); way.click(); }
});
