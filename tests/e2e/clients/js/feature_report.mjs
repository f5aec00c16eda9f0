// What the programs of this folder are given, and the report that each prints: what worked, and what it said.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { z } from 'zod';

const text = { type: 'string' };
const { values, positionals } = parseArgs({
  options: { url: text, key: text, model: text, picture: text },
  allowPositionals: true,
});

// The first argument of programs that know several protocols.
export const [protocol] = positionals;
// The server's address is without /v1.
export const { url, key, model, picture } = values;
export const openaiUrl = `${url}/v1`;
export const bytes = readFileSync(picture);
export const base64 = bytes.toString('base64');
export const dataUrl = `data:image/png;base64,${base64}`;

export const QUESTION = 'What is this?';
export const NEXT_QUESTION = 'Describe the picture.';
export const EMBEDDER = 'all-MiniLM-L6-v2';
// What the picture shows.
export const Seen = z.strictObject({ has_text: z.boolean(), animal: z.enum(['owl', 'bee', 'dog']) });

// A conversation about the picture in the form of chat completions.
export const openaiMessages = [
  {
    role: 'user',
    content: [
      { type: 'image_url', image_url: { url: dataUrl } },
      { type: 'text', text: QUESTION },
    ],
  },
];

const report = {};

// Try a feature and return what `attempt` returned: what the client said, a text or a value, which must not be empty.
export async function feature(name, attempt) {
  try {
    const returned = await attempt();
    const said = typeof returned === 'string' ? returned : JSON.stringify(returned);
    if (!said?.trim()) throw new Error('nothing was said');
    report[name] = { ok: true, said };
    return returned;
  } catch (error) {
    report[name] = { ok: false, said: `${error.name}: ${error.message}` };
    return '';
  }
}

// Return the error that a promise is rejected with, which has to be one of a class.
export async function refused(promise, kind) {
  const error = await promise.then(
    () => new Error('nothing was refused'),
    (reason) => reason,
  );
  if (!(error instanceof kind)) throw error;
  return error;
}

// Return all that a stream has, by `piece` of each of its parts, as long as there are several pieces with text.
export async function joined(stream, piece = (part) => part) {
  const pieces = [];
  for await (const part of stream) pieces.push(piece(part) || '');
  if (pieces.filter(Boolean).length < 2) throw new Error(`not streamed: ${JSON.stringify(pieces)}`);
  return pieces.join('');
}

// Print the report, at the end of a program.
export function tell() {
  process.stdout.write(`\n${JSON.stringify(report)}\n`);
}
