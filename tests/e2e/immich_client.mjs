// Sends what Immich's server sends, in the same way: fetch, FormData and a Blob without a name.
import { readFile } from 'node:fs/promises';

const [base, kind, payload, entries] = process.argv.slice(2);
const ping = await fetch(new URL('/ping', base), { signal: AbortSignal.timeout(20000) });
const form = new FormData();
form.append('entries', entries);
if (kind === 'image') {
  form.append('image', new Blob([new Uint8Array(await readFile(payload))]));
} else {
  form.append('text', payload);
}
const answer = await fetch(new URL('/predict', base), { method: 'POST', body: form });
console.log(JSON.stringify({ ping: ping.ok, status: answer.status, body: await answer.json() }));
