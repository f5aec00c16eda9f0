// OpenAI's client for JavaScript: chat completions, models and embeddings.
import assert from 'node:assert/strict';
import OpenAI from 'openai';
import { zodFunction, zodResponseFormat } from 'openai/helpers/zod';
import {
  EMBEDDER, feature, joined, key, model, NEXT_QUESTION, openaiMessages, openaiUrl, refused, Seen, tell,
} from './feature_report.mjs';

const client = new OpenAI({ baseURL: openaiUrl, apiKey: key });
const asked = { model, messages: openaiMessages };
const create = (more) => client.chat.completions.create({ ...asked, ...more });
const content = (completion) => completion.choices[0].message.content;

await feature('models', async () => {
  assert.equal((await client.models.retrieve(model)).id, model);
  return (await client.models.list()).data[0].id;
});
const whole = await feature('picture', async () => content(await create()));
await feature('stream', async () => {
  const said = await joined(await create({ stream: true }), (part) => part.choices[0]?.delta.content);
  assert.equal(said, whole);
  const stream = client.chat.completions.stream(asked);
  assert.equal(await stream.finalContent(), whole);
  return said;
});
await feature('second turn', async () => {
  const turns = [
    ...openaiMessages, { role: 'assistant', content: whole }, { role: 'user', content: NEXT_QUESTION },
  ];
  return content(await create({ messages: turns }));
});
await feature('structured output', async () => {
  const completion = await client.chat.completions.parse({
    ...asked,
    response_format: zodResponseFormat(Seen, 'seen'),
  });
  return Seen.parse(completion.choices[0].message.parsed);
});
const reporting = zodFunction({ name: 'report', parameters: Seen });
await feature('forced tool', async () => {
  const [choice] = (
    await create({ tools: [reporting], tool_choice: { type: 'function', function: { name: 'report' } } })
  ).choices;
  const [call] = choice.message.tool_calls;
  assert.deepEqual([call.function.name, choice.finish_reason], ['report', 'tool_calls']);
  return Seen.parse(JSON.parse(call.function.arguments));
});
await feature('offered tools', async () => {
  const tools = [zodFunction({ name: 'look_up', parameters: Seen, function: ({ animal }) => animal })];
  return client.chat.completions.runTools({ ...asked, tools }).finalContent();
});
await feature('embeddings', async () => {
  const vector = (await client.embeddings.create({ model: EMBEDDER, input: 'a cat' })).data[0].embedding;
  assert.equal(vector.length, 384);
  return vector.length;
});
await feature('errors', async () => {
  const unknown = await refused(create({ model: 'no-such-model' }), OpenAI.NotFoundError);
  const wrong = await refused(create({ temperature: 9 }), OpenAI.BadRequestError);
  return `${unknown.error.message} ${wrong.error.message}`;
});
tell();
