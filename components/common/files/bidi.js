// A name that runs from right to left keeps to itself; marks that turn a text around are shown: as bidi.py does.
const TURNED = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;
const isolate = name => {
  const shown = name.replace(/[\u202a-\u202e\u2066-\u2069]/g, mark => `\\u${mark.charCodeAt(0).toString(16)}`);
  return TURNED.test(shown) ? `\u2068${shown}\u2069` : shown;
};
