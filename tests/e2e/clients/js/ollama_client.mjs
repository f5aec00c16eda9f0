// Ollama's client for JavaScript.
import assert from 'node:assert/strict';
import { Ollama } from 'ollama';
import { z } from 'zod';
import {
  bytes, EMBEDDER, feature, joined, key, model, NEXT_QUESTION, picture, QUESTION, refused, Seen, tell, url,
} from './feature_report.mjs';

const ollama = new Ollama({ host: url, headers: { Authorization: `Bearer ${key}` } });
const first = { role: 'user', content: QUESTION, images: [picture] };
const chat = async (more) => (await ollama.chat({ model, messages: [first], ...more })).message.content;

await feature('models', async () => {
  assert.ok((await ollama.show({ model })).capabilities.includes('vision'));
  return (await ollama.list()).models.map((one) => one.model).join(', ');
});
const whole = await feature('picture', async () => {
  const written = await ollama.generate({ model, prompt: QUESTION, images: [bytes] });
  assert.ok(written.response);
  return chat();
});
await feature('stream', async () => {
  const stream = await ollama.chat({ model, messages: [first], stream: true });
  const said = await joined(stream, (part) => part.message.content);
  assert.equal(said.trim(), whole.trim());
  return said;
});
await feature('second turn', async () =>
  chat({
    messages: [first, { role: 'assistant', content: whole }, { role: 'user', content: NEXT_QUESTION }],
  }),
);
await feature('structured output', async () => Seen.parse(JSON.parse(await chat({ format: z.toJSONSchema(Seen) }))));
await feature('offered tools', async () => {
  const look = { name: 'look_up', description: 'Looks an animal up.', parameters: z.toJSONSchema(Seen) };
  return chat({ tools: [{ type: 'function', function: look }] });
});
await feature('embeddings', async () => {
  const [vector] = (await ollama.embed({ model: EMBEDDER, input: 'a cat' })).embeddings;
  assert.equal(vector.length, 384);
  return vector.length;
});
await feature('errors', async () => {
  const error = await refused(chat({ model: 'no-such-model' }), Error);
  assert.equal(error.status_code, 404);
  return error.message;
});
tell();
