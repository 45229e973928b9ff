// What changed between two texts, word by word; where words are not written apart, character by character.

const MOST_CELLS = 4_000_000;

/** Pieces `[kind, text]`, kind being "same", "gone" or "new", by the longest common subsequence of words. */
export function difference(before, after) {
  const a = words(before), b = words(after), most = Math.min(a.length, b.length);
  const isSame = (i, j) => plain(a[i]) === plain(b[j]);
  let head = 0, tail = 0;
  while (head < most && isSame(head, head)) head++;
  while (tail < most - head && isSame(a.length - 1 - tail, b.length - 1 - tail)) tail++;
  return joined([
    ...b.slice(0, head).map((word) => ["same", word]),
    ...changed(a.slice(head, a.length - tail), b.slice(head, b.length - tail)),
    ...b.slice(b.length - tail).map((word) => ["same", word]),
  ]);
}

/** Words with the space behind them. */
const words = (text) => text.match(/(?:[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]|[^\s\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]+)\s*/gu) ?? [];

const plain = (word) => word.toLowerCase().replace(/[^\p{L}\p{N}']/gu, "");

/** What is between the common beginning and the common end; too long a middle is one change. */
function changed(a, b) {
  const all = (kind, list) => list.map((word) => [kind, word]);
  if (a.length * b.length > MOST_CELLS) return [...all("gone", a), ...all("new", b)];
  const length = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      length[i][j] = plain(a[i]) === plain(b[j]) ? length[i + 1][j + 1] + 1 : Math.max(length[i + 1][j], length[i][j + 1]);
    }
  }
  const pieces = [];
  let i = 0, j = 0;
  while (i < a.length && j < b.length) {
    if (plain(a[i]) === plain(b[j])) { pieces.push(["same", b[j]]); i++; j++; }
    else if (length[i + 1][j] >= length[i][j + 1]) pieces.push(["gone", a[i++]]);
    else pieces.push(["new", b[j++]]);
  }
  return [...pieces, ...all("gone", a.slice(i)), ...all("new", b.slice(j))];
}

/** Neighbours of one kind as one piece. */
function joined(pieces) {
  const made = [];
  for (const [kind, word] of pieces) {
    if (made.at(-1)?.[0] === kind) made.at(-1)[1] += word;
    else made.push([kind, word]);
  }
  return made;
}

/** The same as elements: deleted words struck through, new ones underlined; the spaces between them outside. */
export function shown(before, after) {
  const tags = { same: "span", gone: "del", new: "ins" };
  return difference(before, after).flatMap(([kind, text]) => {
    const element = document.createElement(tags[kind]);
    element.textContent = text.trimEnd();
    return text.trimEnd() === text ? [element] : [element, " "];
  });
}
