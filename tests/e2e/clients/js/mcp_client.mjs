// The Model Context Protocol's client for JavaScript, over HTTP.
import assert from 'node:assert/strict';
import { basename, extname } from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { feature, key, picture, QUESTION, tell, url } from './feature_report.mjs';

const client = new Client({ name: 'a-client', version: '1.0.0' });
const headers = { Authorization: `Bearer ${key}` };
await client.connect(new StreamableHTTPClientTransport(new URL(`${url}/mcp`), { requestInit: { headers } }));
const call = (name, given) => client.callTool({ name, arguments: given });
let hit;

await feature('tools', async () => (await client.listTools()).tools.map((one) => one.name).join(', '));
await feature('search', async () => {
  const found = await call('search_pictures', { query: basename(picture, extname(picture)) });
  assert.equal(found.structuredContent.pictures.length, 1);
  [hit] = found.structuredContent.pictures;
  return hit.path;
});
await feature('picture', async () => {
  const shown = await call('show_picture', { picture: hit.id, image: true });
  const [image] = shown.content.filter((one) => one.type === 'image');
  const [thumbnail] = (await client.readResource({ uri: `smallsight://pictures/${hit.id}/thumbnail` })).contents;
  assert.ok(Buffer.from(thumbnail.blob, 'base64').length > 100);
  assert.ok(Buffer.from(image.data, 'base64').length > 100);
  return image.mimeType;
});
await feature('question', async () => {
  const answer = await call('ask_about_picture', { picture: hit.id, question: QUESTION });
  return answer.structuredContent.answer;
});
await feature('errors', async () => {
  const answer = await call('show_picture', { picture: '999' });
  assert.equal(answer.isError, true);
  return answer.content[0].text;
});
await client.close();
tell();
