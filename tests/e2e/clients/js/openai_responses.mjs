// OpenAI's client for JavaScript: responses, which the server stores for the second turn.
import assert from 'node:assert/strict';
import OpenAI from 'openai';
import { zodResponsesFunction, zodTextFormat } from 'openai/helpers/zod';
import {
  dataUrl, feature, joined, key, model, NEXT_QUESTION, openaiUrl, QUESTION, Seen, tell,
} from './feature_report.mjs';

const client = new OpenAI({ baseURL: openaiUrl, apiKey: key });
const content = [
  { type: 'input_image', image_url: dataUrl, detail: 'auto' },
  { type: 'input_text', text: QUESTION },
];
const asked = { model, input: [{ role: 'user', content }] };
let first;

await feature('picture', async () => {
  first = await client.responses.create(asked);
  return first.output_text;
});
await feature('stream', async () => {
  const stream = client.responses.stream(asked);
  const said = await joined(stream, (event) => event.type === 'response.output_text.delta' && event.delta);
  assert.equal(said, first.output_text);
  assert.equal((await stream.finalResponse()).output_text, said);
  return said;
});
await feature('second turn', async () => {
  const second = await client.responses.create({ model, previous_response_id: first.id, input: NEXT_QUESTION });
  assert.equal((await client.responses.retrieve(second.id)).previous_response_id, first.id);
  return second.output_text;
});
await feature('structured output', async () => {
  const parsed = await client.responses.parse({ ...asked, text: { format: zodTextFormat(Seen, 'seen') } });
  return Seen.parse(parsed.output_parsed);
});
const tools = [zodResponsesFunction({ name: 'report', parameters: Seen })];
await feature('forced tool', async () => {
  const answer = await client.responses.create({
    ...asked,
    tools,
    tool_choice: { type: 'function', name: 'report' },
  });
  const [call] = answer.output;
  assert.deepEqual([call.type, call.name], ['function_call', 'report']);
  return Seen.parse(JSON.parse(call.arguments));
});
await feature('offered tools', async () => (await client.responses.create({ ...asked, tools })).output_text);
tell();
