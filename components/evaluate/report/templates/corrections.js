"use strict";
// A name that runs from right to left keeps to itself; marks that turn a text around are shown.
const TURNED = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\ud802\ud803\ud83a\ud83b]/;
const isolate = name => {
  const shown = name.replace(/[\u202a-\u202e\u2066-\u2069]/g, mark => `\\u${mark.charCodeAt(0).toString(16)}`);
  return TURNED.test(shown) ? `\u2068${shown}\u2069` : shown;
};
// corrections.csv, as components/validate/layouts/corrections.py reads it.
const COLUMNS = ["sha256", "path", "label", "action", "new_label", "decided_at"];
// A cell that a spreadsheet would take for a formula begins with ' ; reading takes it away again.
const guard = cell => `"${(/^'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/.test(cell) ? `'${cell}` : cell).replaceAll('"', '""')}"`;
const unguard = cell => /^'+[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/.test(cell) ? cell.slice(1) : cell;
const write = rows => rows.map(row => row.map(cell => guard(String(cell))).join(",") + "\r\n").join("");
const parse = text => {
  const rows = [[]], head = text.split("\n", 1)[0];
  const separator = [",", ";", "\t"].sort((a, b) => head.split(b).length - head.split(a).length)[0];
  let cell = "", quoted = false;
  for (let i = 0; i < text.length; i++) {
    const sign = text[i];
    if (quoted) {
      if (sign !== '"') cell += sign;
      else if (text[i + 1] === '"') { cell += '"'; i += 1; }
      else quoted = false;
    } else if (sign === '"') quoted = true;
    else if (sign === separator || sign === "\n") {
      rows.at(-1).push(unguard(sign === "\n" ? cell.replace(/\r$/, "") : cell));
      cell = "";
      if (sign === "\n") rows.push([]);
    } else cell += sign;
  }
  if (cell || rows.at(-1).length) rows.at(-1).push(unguard(cell.replace(/\r$/, "")));
  return rows.filter(row => row.some(Boolean));
};
