// What changed between two texts, word by word.

/** Pieces `[kind, words]`, kind being "same", "gone" or "new", by the longest common subsequence of words. */
export function difference(before, after) {
  const a = before.split(/\s+/).filter(Boolean), b = after.split(/\s+/).filter(Boolean);
  const plain = (word) => word.toLowerCase().replace(/[^\p{L}\p{N}']/gu, "");
  const length = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      length[i][j] = plain(a[i]) === plain(b[j]) ? length[i + 1][j + 1] + 1 : Math.max(length[i + 1][j], length[i][j + 1]);
    }
  }
  const pieces = [];
  const add = (kind, word) => {
    const last = pieces.at(-1);
    if (last && last[0] === kind) last[1] += ` ${word}`;
    else pieces.push([kind, word]);
  };
  let i = 0, j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && plain(a[i]) === plain(b[j])) { add("same", b[j]); i++; j++; }
    else if (j >= b.length || (i < a.length && length[i + 1][j] >= length[i][j + 1])) add("gone", a[i++]);
    else add("new", b[j++]);
  }
  return pieces;
}

/** The same as elements: deleted words struck through, new ones underlined. */
export function shown(before, after) {
  const tags = { same: "span", gone: "del", new: "ins" };
  return difference(before, after).flatMap(([kind, words]) => {
    const element = document.createElement(tags[kind]);
    element.textContent = words;
    return [element, " "];
  });
}
