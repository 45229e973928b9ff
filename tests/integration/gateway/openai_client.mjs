// OpenAI's JavaScript client, unchanged, before the gateway: `node openai_client.mjs BASE_URL RECORDING`.
import fs from "node:fs";
import OpenAI from "../../../tools/node_modules/openai/index.mjs";

const [baseURL, path] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: "none", maxRetries: 0 });
const heard = await client.audio.transcriptions.create({ file: fs.createReadStream(path), model: "uniaudio" });
const pieces = [];
for await (const event of await client.audio.transcriptions.create({ file: fs.createReadStream(path), model: "uniaudio", stream: true })) pieces.push(event.type);
const speech = await client.audio.speech.create({ model: "tts-1", voice: "default", input: "hello", response_format: "wav" });
const models = [];
for await (const model of client.models.list()) models.push(model.id);
let refusal = "";
try {
  await client.audio.speech.create({ model: "gpt-7", voice: "default", input: "hello" });
} catch (error) {
  refusal = `${error.status} ${error.code}`;
}
console.log(JSON.stringify({ text: heard.text, pieces, bytes: (await speech.arrayBuffer()).byteLength, models, refusal }));
