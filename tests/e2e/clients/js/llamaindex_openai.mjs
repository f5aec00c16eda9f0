// LlamaIndex's models and embeddings of OpenAI's protocol.
import assert from 'node:assert/strict';
import { OpenAI, OpenAIEmbedding } from '@llamaindex/openai';
import { z } from 'zod';
import {
  dataUrl, EMBEDDER, feature, joined, key, model, NEXT_QUESTION, openaiMessages, openaiUrl, Seen, tell,
} from './feature_report.mjs';

const llm = new OpenAI({ model, apiKey: key, baseURL: openaiUrl });
const messages = openaiMessages;
const { $schema, ...schema } = z.toJSONSchema(Seen);
const look_up = {
  metadata: { name: 'look_up', description: 'Looks an animal up.', parameters: schema },
  call: ({ animal }) => animal,
};
const content = async (more) => (await llm.chat({ messages, ...more })).message.content;

const whole = await feature('picture', () => content());
await feature('stream', async () => {
  const said = await joined(await llm.chat({ messages, stream: true }), (chunk) => chunk.delta);
  assert.equal(said, whole);
  return said;
});
await feature('second turn', () =>
  content({
    messages: [...messages, { role: 'assistant', content: whole }, { role: 'user', content: NEXT_QUESTION }],
  }),
);
await feature('structured output', async () => {
  const json_schema = { name: 'seen', strict: true, schema };
  return Seen.parse(JSON.parse(await content({ responseFormat: { type: 'json_schema', json_schema } })));
});
await feature('forced tool', async () => {
  const { message } = await llm.chat({
    messages,
    tools: [look_up],
    additionalChatOptions: { tool_choice: 'required' },
  });
  const [call] = message.options.toolCall;
  assert.equal(call.name, 'look_up');
  return Seen.parse(typeof call.input === 'string' ? JSON.parse(call.input) : call.input);
});
await feature('offered tools', () => content({ tools: [look_up] }));
await feature('embeddings', async () => {
  const embedder = new OpenAIEmbedding({ model: EMBEDDER, apiKey: key, baseURL: openaiUrl });
  const vector = await embedder.getTextEmbedding('a cat');
  assert.equal(vector.length, 384);
  return vector.length;
});
tell();
