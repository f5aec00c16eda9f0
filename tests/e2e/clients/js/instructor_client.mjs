// Instructor over OpenAI's client, in its mode with tools and in its mode with a schema.
import Instructor from '@instructor-ai/instructor';
import OpenAI from 'openai';
import { z } from 'zod/v3';
import { feature, joined, key, model, openaiMessages, openaiUrl, tell } from './feature_report.mjs';

// Its schemas are those of Zod 3.
const Seen = z.object({ has_text: z.boolean(), animal: z.enum(['owl', 'bee', 'dog']) });
const client = new OpenAI({ baseURL: openaiUrl, apiKey: key });
const asked = { model, messages: openaiMessages, max_retries: 0, response_model: { schema: Seen, name: 'Seen' } };
const ask = (mode, more) => Instructor({ client, mode }).chat.completions.create({ ...asked, ...more });

await feature('picture', async () => {
  const completion = await Instructor({ client, mode: 'TOOLS' }).chat.completions.create({
    model,
    messages: openaiMessages,
  });
  return completion.choices[0].message.content;
});
await feature('forced tool', async () => Seen.parse(await ask('TOOLS')));
await feature('structured output', async () => Seen.parse(await ask('JSON_SCHEMA')));
await feature('stream', async () => {
  let last;
  for await (const part of await ask('JSON_SCHEMA', { stream: true })) last = part;
  return Seen.parse(last);
});
tell();
