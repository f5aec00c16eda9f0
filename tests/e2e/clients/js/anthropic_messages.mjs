// Anthropic's client for JavaScript.
import assert from 'node:assert/strict';
import Anthropic from '@anthropic-ai/sdk';
import { betaZodTool } from '@anthropic-ai/sdk/helpers/beta/zod';
import { zodOutputFormat } from '@anthropic-ai/sdk/helpers/zod';
import { z } from 'zod';
import {
  base64, feature, joined, key, model, NEXT_QUESTION, QUESTION, refused, Seen, tell, url,
} from './feature_report.mjs';

const client = new Anthropic({ baseURL: url, apiKey: key });
const source = { type: 'base64', media_type: 'image/png', data: base64 };
const messages = [{ role: 'user', content: [{ type: 'image', source }, { type: 'text', text: QUESTION }] }];
const asked = { model, max_tokens: 100, messages };
const create = (more) => client.messages.create({ ...asked, ...more });

const whole = await feature('picture', async () => (await create()).content[0].text);
await feature('stream', async () => {
  const stream = client.messages.stream(asked);
  const said = await joined(stream, (event) => event.delta?.text);
  assert.equal(said.trim(), whole);
  assert.equal(await stream.finalText(), said);
  return said;
});
await feature('second turn', async () => {
  const turns = [...messages, { role: 'assistant', content: whole }, { role: 'user', content: NEXT_QUESTION }];
  return (await create({ messages: turns })).content[0].text;
});
await feature('structured output', async () => {
  const message = await client.messages.parse({ ...asked, output_config: { format: zodOutputFormat(Seen) } });
  return Seen.parse(message.parsed_output);
});
await feature('forced tool', async () => {
  const { $schema, ...schema } = z.toJSONSchema(Seen);
  const message = await create({
    tools: [{ name: 'report', description: 'Reports it.', input_schema: schema }],
    tool_choice: { type: 'tool', name: 'report' },
  });
  const [call] = message.content;
  assert.deepEqual([call.type, call.name, message.stop_reason], ['tool_use', 'report', 'tool_use']);
  return Seen.parse(call.input);
});
await feature('offered tools', async () => {
  const look = betaZodTool({
    name: 'look_up',
    description: 'Looks an animal up.',
    inputSchema: Seen,
    run: ({ animal }) => animal,
  });
  return (await client.beta.messages.toolRunner({ ...asked, tools: [look] })).content[0].text;
});
await feature('errors', async () => {
  const error = await refused(create({ model: 'no-such-model' }), Anthropic.NotFoundError);
  return error.error.error.message;
});
tell();
