"use strict";
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
