// Whatever is dropped anywhere on the main tab goes through one input, and to where it belongs by its content.
(() => {
  const MOST = 64;
  let depth = 0;

  const target = () => {
    const button = document.querySelector('.ob-anywhere');
    if (!button || button.offsetParent === null) return null; // another tab is open: its own inputs take files
    return button.parentElement.querySelector('input[type=file]') || button.querySelector('input[type=file]');
  };
  const brings = (event) => event.dataTransfer && [...event.dataTransfer.types].includes('Files') && target();
  const veil = (on) => document.body.classList.toggle('ob-dropping', on);

  const read = (entry) => new Promise((resolve) => {
    if (entry.isFile) entry.file((file) => resolve([file]), () => resolve([]));
    else {
      const reader = entry.createReader();
      const found = [];
      const more = () => reader.readEntries(async (entries) => {
        if (!entries.length || found.length > MOST) resolve((await Promise.all(found.map(read))).flat());
        else { found.push(...entries); more(); }
      }, () => resolve([]));
      more();
    }
  });

  // The box for shapes would take only what its viewer shows; more is read, so it opens the chooser of all.
  document.addEventListener('click', (event) => {
    const input = event.target.closest?.('.ob-inputs .ob-point button.upload-container') && target();
    if (!input) return;
    event.preventDefault();
    event.stopPropagation();
    input.click();
  }, true);

  document.addEventListener('dragenter', (event) => { if (brings(event)) { depth += 1; veil(true); } }, true);
  document.addEventListener('dragleave', (event) => {
    if (brings(event)) { depth = Math.max(0, depth - 1); if (!depth) veil(false); }
  }, true);
  document.addEventListener('dragover', (event) => { if (brings(event)) event.preventDefault(); }, true);
  document.addEventListener('drop', async (event) => {
    depth = 0;
    veil(false);
    if (!brings(event)) return;
    event.preventDefault();
    event.stopPropagation();
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    const plain = [...event.dataTransfer.files];
    const files = entries.length ? (await Promise.all(entries.map(read))).flat() : plain;
    const input = target();
    if (!files.length || !input) return;
    const carrier = new DataTransfer();
    files.slice(0, MOST + 1).forEach((file) => carrier.items.add(file));
    input.files = carrier.files;
    input.dispatchEvent(new Event('change', { bubbles: true }));
  }, true);
})();
