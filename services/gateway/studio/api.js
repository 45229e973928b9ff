// The gateway's API as the pages use it: errors as objects, streams of events as async iterables.

export class ApiError extends Error {
  constructor(told, status) {
    super(told.message || `the server answered ${status}`);
    this.remedy = told.metadata?.remedy || "";
    this.code = told.code || "";
    this.status = status;
  }
}

export const token = {
  get: () => sessionStorage.getItem("token") || "",
  set: (value) => sessionStorage.setItem("token", value),
};

/** The answer of a request; an ApiError for every refusal, and for a server that is away. */
export async function ask(path, options = {}) {
  const headers = new Headers(options.headers);
  if (token.get()) headers.set("Authorization", `Bearer ${token.get()}`);
  let answer;
  try {
    answer = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError({ message: "The server cannot be reached.", metadata: { remedy: "see that it runs, and try again" } }, 0);
  }
  if (!answer.ok) {
    const told = await answer.json().catch(() => ({}));
    throw new ApiError(told.error || {}, answer.status);
  }
  return answer;
}

export const json = async (path, options) => (await ask(path, options)).json();

/** The events of a stream, in order; one of type "error" is thrown. */
export async function* events(path, options) {
  const answer = await ask(path, options);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const data = block.split("\n").find((line) => line.startsWith("data: "));
        if (!data) continue;
        const event = JSON.parse(data.slice(6));
        if (event.type === "error") throw new ApiError(event.error, 200);
        yield event;
      }
    }
  } finally {
    reader.cancel().catch(() => {}); // it ended, or the caller has enough
  }
}

/** A form with these fields; those that are empty are left out. */
export function form(fields) {
  const made = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one instanceof File) made.append(name, one, one.name);
      else if (one !== "" && one != null) made.append(name, one);
    }
  }
  return made;
}

export function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}
