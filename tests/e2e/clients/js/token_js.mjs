// token.js with its provider for servers that speak OpenAI's protocol. It removes `provider` from what it is given.
import assert from 'node:assert/strict';
import { TokenJS } from 'token.js';
import {
  feature, joined, key, model, NEXT_QUESTION, openaiMessages, openaiUrl, Seen, tell,
} from './feature_report.mjs';

const client = new TokenJS({ apiKey: key, baseURL: openaiUrl });
const create = (more) =>
  client.chat.completions.create({
    provider: 'openai-compatible', model, messages: openaiMessages, ...more,
  });
const content = (completion) => completion.choices[0].message.content;

const parameters = {
  type: 'object',
  properties: { has_text: { type: 'boolean' }, animal: { enum: ['owl', 'bee', 'dog'] } },
  required: ['has_text', 'animal'],
};
const tools = [{ type: 'function', function: { name: 'report', description: 'Report it.', parameters } }];

const whole = await feature('picture', async () => content(await create()));
await feature('stream', async () => {
  const said = await joined(await create({ stream: true }), (part) => part.choices[0]?.delta.content);
  assert.equal(said, whole);
  return said;
});
await feature('second turn', async () => {
  const turns = [
    ...openaiMessages, { role: 'assistant', content: whole }, { role: 'user', content: NEXT_QUESTION },
  ];
  return content(await create({ messages: turns }));
});
await feature('forced tool', async () => {
  const [call] = (
    await create({ tools, tool_choice: { type: 'function', function: { name: 'report' } } })
  ).choices[0].message.tool_calls;
  assert.equal(call.function.name, 'report');
  return Seen.parse(JSON.parse(call.function.arguments));
});
await feature('offered tools', async () => content(await create({ tools })));
tell();
