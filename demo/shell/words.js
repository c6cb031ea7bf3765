// The page in the visitor's language. English stands in the code; a table of assets/words gives the other words, as whole
// texts or as patterns ("{0} of {1}": anything, "{#0}": a number). Gradio draws parts of the page anew at any time, so
// what it draws is put into words as it comes. Captions and what visitors write stay as they are: translate="no".
(() => {
  const tables = globalThis.obTables;
  const ATTRIBUTES = ['title', 'aria-label', 'placeholder', 'alt'];
  const SKIP = 'script,style,pre,code,textarea,q,blockquote,[translate=no],.ob-caption,.ob-label,.ob-languages';
  const missing = new Set(); // for `python -m tools.words`, which says what a table lacks
  const texts = new WeakMap(); // node -> [in English, as it is shown]
  const attributes = new WeakMap(); // element -> { name: [in English, as it is shown] }
  let language = 'en';
  let known = new Map();
  let patterns = [];
  let plural = null;

  const compile = (words) => {
    known = new Map();
    patterns = [];
    for (const [english, other] of Object.entries(words)) {
      if (!/\{#?\d\}/.test(english)) { known.set(english, other); continue; }
      const names = [];
      const source = english.split(/(\{#?\d\})/).map((part) => {
        const slot = /^\{(#?)(\d)\}$/.exec(part);
        if (!slot) return part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
        names.push(slot[2]);
        return slot[1] ? '([+\u2212-]?\\d[\\d.,\u00a0]*)' : '([\\s\\S]+?)';
      }).join('');
      const firm = english.replace(/\{#?\d\}/g, '').length;
      patterns.push({ test: new RegExp(`^${source}$`), names, other, firm, counts: /\{#/.test(english) });
    }
    patterns.sort((one, two) => two.firm - one.firm || two.counts - one.counts);
  };

  const found = (english) => {
    if (known.has(english)) return known.get(english);
    for (const { test, names, other } of patterns) {
      const hit = test.exec(english);
      if (!hit) continue;
      const parts = {};
      names.forEach((name, at) => { parts[name] = found(hit[at + 1]) ?? hit[at + 1]; });
      const counted = names.map((name) => Number(String(parts[name]).replace(/[,\u00a0]/g, ''))).find((n) => !Number.isNaN(n));
      const form = typeof other === 'string' ? other : other[plural.select(counted ?? 0)] ?? other.other;
      return form.replace(/\{(\d)\}/g, (_, name) => parts[name] ?? '');
    }
    return undefined;
  };

  // Notices and errors are clauses in the code and sentences on the page.
  const sentence = (english) => {
    if (!english.endsWith('.')) return undefined;
    const clause = english.slice(0, -1);
    const other = found(clause) ?? found(clause[0].toLowerCase() + clause.slice(1));
    return other === undefined ? undefined : other + (known.get('.') ?? '.');
  };

  const put = (raw) => {
    const english = raw.replace(/\s+/g, ' ').trim();
    if (!/[A-Za-z]{2}/.test(english)) return raw;
    const other = found(english) ?? sentence(english);
    if (other === undefined) { missing.add(english); return raw; }
    return raw.match(/^\s*/)[0] + other + raw.match(/\s*$/)[0];
  };

  const words = (node, fresh) => {
    let kept = texts.get(node);
    if (!kept || (node.data !== kept[1])) kept = [node.data, node.data]; // gradio has written it anew
    else if (!fresh) return;
    kept[1] = language === 'en' ? kept[0] : put(kept[0]);
    texts.set(node, kept);
    if (node.data !== kept[1]) node.data = kept[1];
  };

  const named = (element, fresh) => {
    const all = attributes.get(element) ?? {};
    for (const name of ATTRIBUTES) {
      const now = element.getAttribute(name);
      if (!now) continue;
      let kept = all[name];
      if (!kept || now !== kept[1]) kept = [now, now];
      else if (!fresh) continue;
      kept[1] = language === 'en' ? kept[0] : put(kept[0]);
      all[name] = kept;
      if (now !== kept[1]) element.setAttribute(name, kept[1]);
    }
    attributes.set(element, all);
  };

  const walk = (root, fresh) => {
    if (root.nodeType === Node.TEXT_NODE) {
      if (root.parentElement && !root.parentElement.closest(SKIP)) words(root, fresh);
      return;
    }
    if (root.nodeType !== Node.ELEMENT_NODE) return;
    const nodes = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
    for (let node = nodes.currentNode; node; node = nodes.nextNode()) {
      if (node.nodeType === Node.TEXT_NODE) {
        if (!node.parentElement.closest(SKIP)) words(node, fresh);
      } else if (!node.closest('[translate=no],.ob-languages')) {
        named(node, fresh);
      }
    }
  };

  const show = () => {
    const root = document.documentElement; // gradio names the browser's language there, late
    if (root.lang.split('-')[0] !== language) root.lang = language;
    document.querySelectorAll('.ob-languages select').forEach((one) => { one.value = language; });
  };

  const observer = new MutationObserver((changes) => {
    for (const change of changes) {
      if (change.type === 'childList') change.addedNodes.forEach((node) => walk(node, false));
      else if (change.type === 'characterData') walk(change.target, false);
      else if (!change.target.closest('[translate=no],.ob-languages')) named(change.target, false);
    }
    show();
  });

  const speak = (name) => {
    language = tables[name] ? name : 'en';
    compile(tables[language]?.words ?? {});
    plural = new Intl.PluralRules(language);
    document.documentElement.lang = language;
    observer.disconnect();
    walk(document.documentElement, true);
    observer.observe(document.documentElement, { subtree: true, childList: true, characterData: true,
      attributes: true, attributeFilter: ATTRIBUTES });
    show();
  };

  const kept = () => { try { return localStorage.getItem('ob-language'); } catch { return null; } };
  const wanted = [new URLSearchParams(location.search).get('lang'), kept(), ...(navigator.languages ?? [])]
    .filter(Boolean).map((one) => one.split('-')[0].toLowerCase()).find((one) => one === 'en' || tables[one]);

  document.addEventListener('change', (event) => {
    if (!event.target.closest?.('.ob-languages')) return;
    try { localStorage.setItem('ob-language', event.target.value); } catch { /* it holds for this visit */ }
    speak(event.target.value);
  });

  globalThis.obWords = { missing, say: (english) => (language === 'en' ? english : put(english)) };
  if (wanted && wanted !== 'en') speak(wanted);
  else new MutationObserver(show).observe(document.documentElement, { subtree: true, childList: true });
})();
