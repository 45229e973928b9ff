// Keeps this tab's versions over a reload; recordings stay in the browser (IndexedDB), by a name of the tab's own.

const tab = sessionStorage.getItem("tab") || crypto.randomUUID();
sessionStorage.setItem("tab", tab);
const MAX_AGE_MS = 24 * 3600 * 1000;

function open() {
  return new Promise((resolve, reject) => {
    const asked = indexedDB.open("uniaudio-studio", 1);
    asked.onupgradeneeded = () => asked.result.createObjectStore("tabs");
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
  });
}

async function run(mode, work) {
  const database = await open();
  try {
    return await new Promise((resolve, reject) => {
      const store = database.transaction("tabs", mode).objectStore("tabs");
      const asked = work(store);
      asked.onsuccess = () => resolve(asked.result);
      asked.onerror = () => reject(asked.error);
    });
  } finally {
    database.close();
  }
}

export const load = async () => (await run("readonly", (store) => store.get(tab)))?.state;

export const save = (state) => run("readwrite", (store) => store.put({ state, at: Date.now() }, tab));

/** Forgets what tabs left behind that were closed a day ago. */
export async function tidy() {
  const keys = await run("readonly", (store) => store.getAllKeys());
  for (const key of keys) {
    const kept = await run("readonly", (store) => store.get(key));
    if (key !== tab && Date.now() - kept.at > MAX_AGE_MS) await run("readwrite", (store) => store.delete(key));
  }
}
