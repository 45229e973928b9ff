// The gateway's API as the pages use it: errors as objects, streams of events as async iterables.

const ANSWER_MS = 60_000;

export class ApiError extends Error {
  constructor(told, status) {
    super(told.message || `the server answered ${status}`);
    this.remedy = told.metadata?.remedy || "";
    this.code = told.code || "";
    this.status = status;
  }
}

/** What this page refuses by itself, told like the server's refusals. */
export const refusal = (message, remedy) => new ApiError({ message, metadata: { remedy } }, 0);

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
    if (error.name === "TimeoutError") throw refusal(`The server did not answer within ${ANSWER_MS / 1000} s.`, "try again");
    throw refusal("The server cannot be reached.", "see that it runs, and try again");
  }
  if (!answer.ok) {
    const told = await answer.json().catch(() => ({}));
    throw new ApiError(told.error || {}, answer.status);
  }
  return answer;
}

/** A JSON answer. Questions have a deadline here; of what brings a recording, the server bounds the time. */
export async function json(path, options = {}) {
  const signal = options.body ? undefined : AbortSignal.timeout(ANSWER_MS);
  return (await ask(path, { signal, ...options })).json();
}

/** The events of a stream up to the one of type `last`; an ApiError where it tells one, or ends before. */
export async function* events(path, options, last) {
  const answer = await ask(path, options);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read().catch(cut);
      if (done) throw refusal("The answer broke off before its end.", "try again");
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const data = block.split("\n").find((line) => line.startsWith("data: "));
        if (!data) continue;
        const event = JSON.parse(data.slice(6));
        if (event.type === "error") throw new ApiError(event.error, 200);
        yield event;
        if (event.type === last) return;
      }
    }
  } finally {
    reader.cancel().catch(() => {}); // it ended, or the caller has enough
  }
}

/** A connection that was lost is an end too early; what the person here ended is not. */
function cut(error) {
  if (error.name === "AbortError") throw error;
  return { done: true };
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
