'use strict';
(() => {
  const form = document.getElementById('filters');
  const body = document.querySelector('#findings tbody');
  if (!form || !body) return;
  const rows = Array.from(body.rows, (tr) => ({ tr, text: tr.textContent.toLowerCase(), tools: JSON.parse(tr.dataset.tools) }));
  const shown = document.getElementById('shown');
  const fits = (row, want) => {
    const d = row.tr.dataset;
    return (!want.severity || d.severity === want.severity) && (!want.class || d.class === want.class) && (!want.state || d.state === want.state)
      && (!want.waived || d.waived === want.waived) && (!want.tool || row.tools.includes(want.tool))
      && want.words.every((w) => row.text.includes(w));
  };
  const apply = () => {
    const want = Object.fromEntries(new FormData(form));
    want.words = want.text.toLowerCase().split(/\s+/).filter(Boolean);
    let n = 0;
    for (const row of rows) {
      const yes = fits(row, want);
      if (yes) n++;
      row.tr.hidden = !yes;
    }
    shown.textContent = `${n} of ${rows.length} rows shown`;
  };
  const value = (tr, column, numeric) => {
    const cell = tr.cells[column];
    return numeric ? Number(cell.dataset.rank) : cell.textContent.trim().toLowerCase();
  };
  const sort = (th) => {
    const down = th.getAttribute('aria-sort') === 'ascending';
    for (const other of th.parentNode.cells) other.removeAttribute('aria-sort');
    th.setAttribute('aria-sort', down ? 'descending' : 'ascending');
    const numeric = 'numeric' in th.dataset;
    const keyed = rows.map((row, i) => ({ row, i, key: value(row.tr, th.cellIndex, numeric) }));
    keyed.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0) * (down ? -1 : 1) || a.i - b.i);
    body.append(...keyed.map((k) => k.row.tr));
  };
  for (const th of document.querySelectorAll('#findings thead th')) {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = th.textContent;
    button.addEventListener('click', () => sort(th));
    th.replaceChildren(button);
  }
  form.hidden = false;
  form.addEventListener('input', apply);
  form.addEventListener('submit', (e) => e.preventDefault());
  form.addEventListener('reset', () => setTimeout(apply));
  apply();
})();
